/* Where an output came from: which tool and version, which weights, which configuration, which
 * seed. Written into the header of every file and, with --provenance, into every output line. */
#ifndef EGO_BASE_PROVENANCE_H
#define EGO_BASE_PROVENANCE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ego_provenance {
    const char *tool;   /* "ego-embed" */
    const char *model;  /* the model's SHA-256 name; NULL when no model was used */
    const char *config; /* the configuration in force, JSON text; NULL for none */
    bool has_seed;
    uint64_t seed;
} ego_provenance;

/* The version of this library: "0.1.0". */
EGO_API const char *ego_version(void);

/* {"tool":…,"version":…,"model":…,"config":…,"seed":…}: members that are absent are left out. */
void ego_provenance_write(const ego_provenance *provenance, ego_buf *json);

#endif
