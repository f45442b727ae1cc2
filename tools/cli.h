/* What every tool shares: options from one declarative table, records in, JSON lines out, signals,
 * progress and exit status. A tool reads
 *
 *     int main(int argc, char **argv) {
 *         ego_cli cli;
 *         if (!ego_cli_begin(&cli, &tool, argc, argv)) return ego_cli_end(&cli);
 *         bool go_on = true;
 *         while (go_on) {
 *             ego_record record;
 *             ego_err err = ego_cli_next_record(&cli, &rules, &record);
 *             if (err == EGO_EEND) break;
 *             if (err == EGO_OK) err = answer(&record); // on success it wrote the output line
 *             go_on = ego_cli_record_done(&cli, &record, err);
 *         }
 *         return ego_cli_end(&cli);
 *     }
 *
 * One thread calls these functions. Options' values point into argv and the tool's own variables.
 */
#ifndef EGO_TOOLS_CLI_H
#define EGO_TOOLS_CLI_H

#include "base/buf.h"
#include "base/err.h"
#include "base/lines.h"
#include "base/options.h"
#include "base/progress.h"
#include "base/provenance.h"
#include "data/listing.h"
#include "data/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- exit status ----------------------------------------------------------------------------- */

enum {
    EGO_EXIT_OK = 0,
    EGO_EXIT_SOME_FAILED = 1, /* each failed record has its error line */
    EGO_EXIT_USAGE = 2,       /* wrong usage, or something this build cannot do */
    EGO_EXIT_FATAL = 3,       /* cannot go on */
    EGO_EXIT_SIGNAL = 128     /* + the signal's number */
};

/* ---- options --------------------------------------------------------------------------------- */

/* Which common options mean something to a tool. Every tool accepts all of them; of one that means
 * nothing to it, it says so on stderr. */
enum {                         /* bits of ego_cli_tool.uses */
       EGO_CLI_USES_MODEL = 1, /* --model --tokenizer --device --dtype --batch */
       EGO_CLI_USES_VIDEO = 2, /* --video-root --sampling --frames */
       EGO_CLI_USES_WORK = 4,  /* --threads */
       EGO_CLI_USES_SHARD = 8, /* --shard */
       EGO_CLI_USES_SEED = 16,
       EGO_CLI_USES_CONFIG = 32, /* --config --set */
       EGO_CLI_USES_PLAN = 64,   /* --dry-run */
       EGO_CLI_USES_PROVENANCE = 128,
       EGO_CLI_OWN_CSV = 256 /* a .csv is a file of the tool's own, no benchmark's list of clips */
};

typedef struct ego_cli_tool {
    const char *name;    /* "ego-match" */
    const char *usage;   /* after the name: "[OPTIONS] QUERIES TARGETS"; a line for each form */
    const char *summary; /* one or two lines */
    const char *example; /* lines */
    const ego_option *options; /* the tool's own, see base/options.h */
    unsigned uses;
} ego_cli_tool;

enum { EGO_DTYPE_F32, EGO_DTYPE_BF16, EGO_DTYPE_INT8 };

typedef struct ego_cli {
    const ego_cli_tool *tool;

    /* common options */
    const char *model;      /* -m, else $EGO_MODEL, else NULL: the installed default */
    const char *tokenizer;  /* NULL: the model file's own */
    const char *video_root; /* NULL: none */
    const char *device;     /* "cpu" */
    const char *config;     /* NULL: none */
    ego_option_list set;    /* KEY=VALUE, checked to have the = */
    int sampling;           /* an ego_sampling */
    int dtype;
    int64_t threads;        /* at least 1 after ego_cli_begin */
    int64_t batch, frames;  /* 0: the tool's default */
    ego_option_share shard; /* 0/1 unless given */
    int64_t seed;
    bool seed_given, quiet, verbose, dry_run, provenance;

    /* arguments, in order, and the same split */
    const char **args;
    size_t n_args;
    const char **files; /* record files: .jsonl, .json, .csv (data/listing.h), "-" */
    size_t n_files;
    const char **media; /* all others */
    size_t n_media;

    /* private */
    int status;
    int progress_mode;
    bool bar_drawn, output_closed;
    size_t next_file;
    ego_lines *lines;
    ego_listing listing;
    uint64_t line_count, failed;
    double meter_started, meter_drawn;
    uint64_t meter_done; /* by an earlier run */
    char meter_note[64];
} ego_cli;

/* Reads the options and starts signal handling. False when the tool is to end now: help or version
 * was printed, or the usage was wrong (said on stderr, naming the option); ego_cli_end has the
 * status. */
bool ego_cli_begin(ego_cli *cli, const ego_cli_tool *tool, int argc, char **argv);

/* Frees all, closes stdout and checks that everything was written; returns the exit status. */
int ego_cli_end(ego_cli *cli);

/* ---- failure --------------------------------------------------------------------------------- */

/* Says "ego-match: MESSAGE" on stderr and makes the exit status 2. Returns false. */
bool ego_cli_usage(ego_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The tool cannot go on: says the current error message on stderr; the exit status is 2 for what
 * the user gave wrong or this build cannot do, else 3. Returns false. An EGO_ECANCELLED is not
 * reported. */
bool ego_cli_fatal(ego_cli *cli, ego_err err);

/* A line on stderr that -q silences; with -v only: ego_cli_verbose. */
void ego_cli_note(ego_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ego_cli_verbose(ego_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A fault that does not end the work but loses part of it (a stream cut short): said even with -q; the
 * exit status is 1. */
void ego_cli_fault(ego_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same without words. */
void ego_cli_count_failed(ego_cli *cli);

/* The signal that asked this process to end; 0: none. */
int ego_cli_signal(void);

/* True once SIGINT, SIGTERM or SIGUSR1 arrived or stdout's reader has gone: finish the record in hand and
 * end. */
bool ego_cli_stopped(const ego_cli *cli);

/* ---- records in ------------------------------------------------------------------------------ */

/* The next record of the record files (stdin when neither files nor media were named) that belongs
 * to this process's shard. EGO_EEND after the last or once stopped; EGO_EINPUT or EGO_EFORMAT: this
 * record is bad, record->id is set: pass it to ego_cli_record_done. Any other code is fatal (pass
 * it there too: it ends the loop). Media arguments are the tool's: see ego_record_whole and
 * ego_record_window. */
ego_err ego_cli_next_record(ego_cli *cli, const ego_record_rules *rules, ego_record *record);

/* Ends the work on a record: after a failure writes its error line to stdout and says the message,
 * with its file and line, on stderr; releases the record in any case. False when the loop should
 * end: stopped, or a failure that other records would share (out of memory, unreadable input). */
bool ego_cli_record_done(ego_cli *cli, ego_record *record, ego_err err);

/* True when the next record has not arrived yet: finish a batch, flush. (ego_cli_next_record
 * flushes stdout itself before it waits.) */
bool ego_cli_input_paused(const ego_cli *cli);

/* For tools that read a descriptor themselves: waits until it can be read (or has ended), with stdout
 * flushed. False once stopped. */
bool ego_cli_wait(ego_cli *cli, int fd);
/* True when a read from it would wait. */
bool ego_cli_would_wait(int fd);

/* --shard: whole videos stay together; records without one are spread by id. */
bool ego_cli_in_shard(const ego_cli *cli, const ego_record *record);
bool ego_cli_name_in_shard(const ego_cli *cli, const char *video);

/* ---- lines out ------------------------------------------------------------------------------- */

/* Writes the buffer and a newline to stdout and empties it. A failed write is fatal and ends the
 * loop at the next ego_cli_record_done; EGO_EIO then. */
ego_err ego_cli_write_line(ego_cli *cli, ego_buf *line);
/* Raw bytes to stdout, the same way. */
ego_err ego_cli_write(ego_cli *cli, const void *bytes, size_t n);
ego_err ego_cli_flush(ego_cli *cli);

/* With --provenance, appends the member "provenance" to an open output line. model and config may
 * be NULL. */
void ego_cli_add_provenance(const ego_cli *cli, const char *model, const char *config,
                            ego_buf *line);
/* The same for file headers: always. */
ego_provenance ego_cli_provenance(const ego_cli *cli, const char *model, const char *config);

/* A binary stream is never written to a terminal: false after saying so when stdout is one. */
bool ego_cli_binary_stdout(ego_cli *cli);

/* ---- progress -------------------------------------------------------------------------------- */

/* For library calls: draws the bar as --progress says and stops the work after a signal. */
ego_progress ego_cli_progress(ego_cli *cli);
/* The same by hand. */
void ego_cli_show_progress(ego_cli *cli, const char *what, uint64_t done, uint64_t total);

#endif
