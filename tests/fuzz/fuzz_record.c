/* One input line: whatever is accepted must come out as JSON that is accepted again, with the same
 * members; whatever is refused must have an id to be refused by. */
#include "base/json.h"
#include "data/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

static void check_output(const ego_record *record) {
    ego_buf line = {0};
    ego_json *json;
    ego_record_begin(record, &line);
    ego_record_close(record, EGO_RECORD_ALL, &line);
    require(ego_json_parse(line.data, line.len, &json) == EGO_OK);
    require(ego_json_get(json, "id") != NULL);
    size_t own = 1;
    for (unsigned bits = record->has; bits; bits &= bits - 1) own++;
    require(ego_json_count(json) == own + record->n_extras);
    ego_json_free(json);

    ego_record again;
    static const char *const reads[] = {"choices", NULL}, *const writes[] = {"score", NULL};
    static const ego_record_rules rules = {reads, writes};
    require(ego_record_parse(line.data, line.len, "out", 1, 1, &rules, &again) == EGO_OK);
    require(again.has == record->has && again.n_tokens == record->n_tokens);
    require(again.n_extras == record->n_extras && strcmp(again.id, record->id) == 0);
    ego_record_release(&again);
    ego_buf_release(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const reads[] = {"choices", NULL}, *const writes[] = {"score", NULL};
    static const ego_record_rules rules = {reads, writes};
    ego_record record;
    ego_err err = ego_record_parse((const char *)data, size, "in", 1, 1, &rules, &record);
    require(record.id != NULL && record.label != NULL);
    if (err == EGO_OK) {
        check_output(&record);
    } else {
        ego_buf line = {0};
        ego_json *json;
        ego_record_error(&record, ego_err_message(), &line);
        require(ego_json_parse(line.data, line.len, &json) == EGO_OK);
        ego_json_free(json);
        ego_buf_release(&line);
    }
    ego_record_release(&record);
    return 0;
}
