/* A .safetensors or .pth as a task's head: what its metadata, names and shapes tell. */
#include "format/weights_build.h"
#include "model/head.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ego_weights *weights;
    ego_head *head;
    if (ego__weights_open_memory("/nowhere/fuzz", data, size, &weights) != EGO_OK) return 0;
    (void)ego_weights_are_head(weights);
    if (ego_head_from_weights(weights, NULL, &head) == EGO_OK) {
        if (ego_head_parameters(head) < 1 || strlen(head->id) != 64) __builtin_trap();
        (void)ego_head_note(head, "answers");
        ego_head_close(head, NULL);
    }
    ego_weights_close(weights);
    return 0;
}
