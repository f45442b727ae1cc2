#include "cli.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LINE = 16 << 20, COMMON_MAX = 32 };
enum { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER };

/* ---- signals
 * ------------------------------------------------------------------------------------- */

/* The signal that asked to stop, and a pipe that wakes whoever waits for input then. A second
 * signal of the kind ends the process at once: the handler is in force for one only. */
static volatile sig_atomic_t stop_signal;
static int wake_pipe[2] = {-1, -1};

static void on_signal(int number) {
    int saved = errno;
    stop_signal = number;
    ssize_t ignored = write(wake_pipe[1], "", 1);
    (void)ignored;
    errno = saved;
}

static void catch_signal(int number) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_RESETHAND}, old;
    sigemptyset(&action.sa_mask);
    /* What the parent chose to ignore (nohup, a job in the background) stays ignored. */
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

static void start_signals(void) {
    if (wake_pipe[0] >= 0) return;
    if (pipe(wake_pipe) == 0)
        for (int i = 0; i < 2; i++) {
            fcntl(wake_pipe[i], F_SETFD, FD_CLOEXEC);
            fcntl(wake_pipe[i], F_SETFL, O_NONBLOCK);
        }
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    catch_signal(SIGUSR1); /* what schedulers send before the time is up, and mpirun hands on */
    signal(SIGPIPE,
           SIG_IGN); /* a write then fails with EPIPE, and unfinished files are cleaned up */
}

int ego_cli_signal(void) { return stop_signal; }

bool ego_cli_stopped(const ego_cli *cli) { return stop_signal != 0 || cli->status != 0; }

/* ---- messages
 * ------------------------------------------------------------------------------------ */

static void erase_bar(ego_cli *cli) {
    if (!cli->bar_drawn) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    cli->bar_drawn = false;
}

static void say(ego_cli *cli, const char *format, va_list args) {
    erase_bar(cli);
    fprintf(stderr, "%s: ", cli->tool->name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

bool ego_cli_usage(ego_cli *cli, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(cli, format, args);
    va_end(args);
    fprintf(stderr, "%s: see %s --help\n", cli->tool->name, cli->tool->name);
    cli->status = EGO_EXIT_USAGE;
    return false;
}

void ego_cli_note(ego_cli *cli, const char *format, ...) {
    if (cli->quiet) return;
    va_list args;
    va_start(args, format);
    say(cli, format, args);
    va_end(args);
}

void ego_cli_verbose(ego_cli *cli, const char *format, ...) {
    if (!cli->verbose) return;
    va_list args;
    va_start(args, format);
    say(cli, format, args);
    va_end(args);
}

static void complain(ego_cli *cli, const char *label, const char *message) {
    erase_bar(cli);
    if (label)
        fprintf(stderr, "%s: %s: %s\n", cli->tool->name, label, message);
    else
        fprintf(stderr, "%s: %s\n", cli->tool->name, message);
}

bool ego_cli_fatal(ego_cli *cli, ego_err err) {
    if (err == EGO_OK) return false;
    if (err == EGO_ECANCELLED) { /* without a signal: stdout's reader has gone */
        if (!cli->status && !stop_signal) cli->status = EGO_EXIT_SIGNAL + SIGPIPE;
        return false;
    }
    complain(cli, NULL, ego_err_message());
    bool users = err == EGO_EINPUT || err == EGO_EUNSUPPORTED;
    cli->status = users ? EGO_EXIT_USAGE : EGO_EXIT_FATAL;
    return false;
}

void ego_cli_fault(ego_cli *cli, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say(cli, format, args);
    va_end(args);
    cli->failed++;
}

void ego_cli_count_failed(ego_cli *cli) { cli->failed++; }

/* ---- the common options
 * -------------------------------------------------------------------------- */

typedef struct common {
    ego_option table[COMMON_MAX + 1];
    unsigned uses[COMMON_MAX]; /* of the option with the same index; 0: every tool's */
    bool given[COMMON_MAX];
    size_t n;
    bool help, version;
    const char *completion;
} common;

static void common_options(common *c, ego_cli *cli) {
    /* clang-format off */
    const struct { unsigned uses; ego_option option; } rows[] = {
        {EGO_CLI_USES_MODEL, {"model", 'm', EGO_OPTION_FILE, "FILE", &cli->model, 0, 0, "weights", NULL}},
        {EGO_CLI_USES_MODEL, {"tokenizer", 0, EGO_OPTION_FILE, "DIR", &cli->tokenizer, 0, 0, "vocab.json and merges.txt", NULL}},
        {EGO_CLI_USES_VIDEO, {"video-root", 0, EGO_OPTION_FILE, "DIR", &cli->video_root, 0, 0, "where relative videos are", NULL}},
        {EGO_CLI_USES_VIDEO, {"sampling", 0, EGO_OPTION_CHOICE, "time|reference", &cli->sampling, 0, 0, "which frames", NULL}},
        {EGO_CLI_USES_VIDEO, {"frames", 0, EGO_OPTION_INT, "N", &cli->frames, 1, 4096, "frames of a clip", NULL}},
        {EGO_CLI_USES_MODEL, {"device", 0, EGO_OPTION_STRING, "cpu|cuda[:N]", &cli->device, 0, 0, "where to compute", NULL}},
        {EGO_CLI_USES_MODEL, {"dtype", 0, EGO_OPTION_CHOICE, "f32|bf16|int8", &cli->dtype, 0, 0, "arithmetic", NULL}},
        {EGO_CLI_USES_MODEL, {"batch", 0, EGO_OPTION_INT, "N", &cli->batch, 1, 65536, "records at a time", NULL}},
        {EGO_CLI_USES_WORK, {"threads", 't', EGO_OPTION_INT, "N", &cli->threads, 1, 1024, "threads", NULL}},
        {EGO_CLI_USES_SHARD, {"shard", 0, EGO_OPTION_SHARE, "I/N", &cli->shard, 0, 0, "this part of the work", NULL}},
        {EGO_CLI_USES_SEED, {"seed", 0, EGO_OPTION_INT, "N", &cli->seed, 0, 0, "seed of all randomness", &cli->seed_given}},
        {EGO_CLI_USES_CONFIG, {"config", 0, EGO_OPTION_FILE, "FILE", &cli->config, 0, 0, "configuration", NULL}},
        {EGO_CLI_USES_CONFIG, {"set", 0, EGO_OPTION_LIST, "KEY=VALUE", &cli->set, 0, 0, "one value of it", NULL}},
        {EGO_CLI_USES_PLAN, {"dry-run", 0, EGO_OPTION_FLAG, NULL, &cli->dry_run, 0, 0, "only say what would be done", NULL}},
        {EGO_CLI_USES_PROVENANCE, {"provenance", 0, EGO_OPTION_FLAG, NULL, &cli->provenance, 0, 0, "trace every line", NULL}},
        {0, {"progress", 0, EGO_OPTION_CHOICE, "auto|always|never", &cli->progress_mode, 0, 0, "bar on stderr", NULL}},
        {0, {"quiet", 'q', EGO_OPTION_FLAG, NULL, &cli->quiet, 0, 0, "no notes", NULL}},
        {0, {"verbose", 'v', EGO_OPTION_FLAG, NULL, &cli->verbose, 0, 0, "more notes", NULL}},
        {0, {"help", 'h', EGO_OPTION_FLAG, NULL, &c->help, 0, 0, "this text", NULL}},
        {0, {"version", 'V', EGO_OPTION_FLAG, NULL, &c->version, 0, 0, "version", NULL}},
        {0, {"completion", 0, EGO_OPTION_STRING, "SHELL", &c->completion, 0, 0, NULL, NULL}},
    };
    /* clang-format on */
    *c = (common){.n = sizeof rows / sizeof *rows};
    for (size_t i = 0; i < c->n; i++) {
        c->table[i] = rows[i].option;
        c->uses[i] = rows[i].uses;
        if (!c->table[i].given) c->table[i].given = &c->given[i];
    }
}

/* Lines, each but the first behind `indent` and, where given, a word and a space. */
static void append_lines(const char *lines, const char *indent, const char *word, ego_buf *text) {
    for (; *lines; lines++) {
        ego_buf_char(text, *lines);
        if (*lines != '\n') continue;
        ego_buf_text(text, indent);
        if (word) ego_buf_printf(text, "%s ", word);
    }
    ego_buf_char(text, '\n');
}

/* Whether the tool has an option of its own in the place of a common one. */
static bool has_own(const ego_cli_tool *tool, const char *name) {
    for (const ego_option *o = tool->options; o && o->name; o++)
        if (strcmp(o->name, name) == 0) return true;
    return false;
}

static void help(const ego_cli_tool *tool, const common *c, ego_buf *text) {
    ego_buf_printf(text, "usage: %s ", tool->name);
    append_lines(tool->usage, "       ", tool->name, text);
    ego_buf_printf(text, "%s\n", tool->summary);
    if (tool->options && tool->options->name) ego_options_help(tool->options, text);
    ego_option used[COMMON_MAX + 1] = {{0}};
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if ((!c->uses[i] || (c->uses[i] & tool->uses)) && !has_own(tool, c->table[i].name))
            used[n++] = c->table[i];
    ego_buf_printf(text, "common options, described in %s(1):\n", tool->name);
    ego_options_brief(used, 2, text);
    ego_buf_text(text, "example:\n  ");
    append_lines(tool->example, "  ", NULL, text);
}

/* ---- begin
 * --------------------------------------------------------------------------------------- */

static bool check_device(ego_cli *cli) {
    int64_t number;
    const char *rest = cli->device + 4;
    bool cuda = strncmp(cli->device, "cuda", 4) == 0 &&
                (!*rest || (*rest == ':' && ego_parse_integer(rest + 1, &number) && number >= 0));
    if (!cuda && strcmp(cli->device, "cpu") != 0)
        return ego_cli_usage(cli, "--device: expected cpu or cuda[:N], found '%s'", cli->device);
    if (cuda || cli->dtype != EGO_DTYPE_F32)
        return ego_cli_usage(cli, "%s: this build computes in f32 on the cpu only",
                             cuda ? "--device cuda" : "--dtype");
    return true;
}

static bool check_common(ego_cli *cli, const common *c) {
    for (size_t i = 0; i < c->n; i++)
        if (*c->table[i].given && c->uses[i] && !(c->uses[i] & cli->tool->uses))
            ego_cli_note(cli, "note: --%s means nothing to this tool", c->table[i].name);
    for (size_t i = 0; i < cli->set.n; i++)
        if (!strchr(cli->set.items[i], '=') || cli->set.items[i][0] == '=')
            return ego_cli_usage(cli, "--set: expected KEY=VALUE, found '%s'", cli->set.items[i]);
    return check_device(cli);
}

static bool is_records(const ego_cli *cli, const char *path) {
    return strcmp(path, "-") == 0 || ego_has_suffix(path, ".jsonl") || ego_has_suffix(path, ".json") ||
           (ego_is_listing(path) && !(cli->tool->uses & EGO_CLI_OWN_CSV));
}

static bool split_arguments(ego_cli *cli, int n, char **arguments) {
    const char **all = calloc(3 * (size_t)n + 1, sizeof *all);
    if (!all) return ego_cli_fatal(cli, ego_fail(EGO_ENOMEM, "out of memory"));
    cli->args = all;
    cli->files = all + n;
    cli->media = all + 2 * n;
    for (int i = 0; i < n; i++) {
        cli->args[cli->n_args++] = arguments[i];
        if (is_records(cli, arguments[i]))
            cli->files[cli->n_files++] = arguments[i];
        else
            cli->media[cli->n_media++] = arguments[i];
    }
    return true;
}

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* -h, -V and --completion: prints, and the tool ends. */
static bool answer(ego_cli *cli, const common *c) {
    ego_buf text = {0};
    ego_err err = EGO_OK;
    if (c->completion) {
        const ego_option *tables[] = {cli->tool->options, c->table};
        err = ego_options_completion(tables, 2, cli->tool->name, c->completion, &text);
    } else if (c->help) {
        help(cli->tool, c, &text);
    } else {
        ego_buf_printf(&text, "%s (Ego) %s\n", cli->tool->name, ego_version());
    }
    if (err == EGO_OK) err = ego_buf_err(&text);
    if (err == EGO_OK)
        ego_cli_write(cli, text.data, text.len);
    else
        ego_cli_fatal(cli, err);
    ego_buf_release(&text);
    return false;
}

bool ego_cli_begin(ego_cli *cli, const ego_cli_tool *tool, int argc, char **argv) {
    *cli = (ego_cli){.tool = tool, .device = "cpu", .shard = {0, 1}};
    start_signals();
    common c;
    common_options(&c, cli);
    const ego_option *tables[] = {tool->options, c.table};
    int first = argc;
    if (ego_options_read(tables, 2, argc, argv, &first) != EGO_OK)
        return ego_cli_usage(cli, "%s", ego_err_message());
    if (c.help || c.version || c.completion) return answer(cli, &c);
    if (!check_common(cli, &c) || !split_arguments(cli, argc - first, argv + first)) return false;
    if (!cli->model) {
        cli->model = getenv("EGO_MODEL");
        if (cli->model && !*cli->model) cli->model = NULL;
    }
    if (!cli->threads) cli->threads = ego_core_count();
    cli->meter_started = seconds_now();
    return true;
}

int ego_cli_end(ego_cli *cli) {
    erase_bar(cli);
    ego_cli_flush(cli);
    if (!cli->output_closed) {
        cli->output_closed = true;
        if (fclose(stdout) != 0 && !cli->status) {
            fprintf(stderr, "%s: stdout: cannot be written: %s\n", cli->tool->name,
                    strerror(errno));
            cli->status = EGO_EXIT_FATAL;
        }
    }
    ego_lines_close(cli->lines);
    ego_listing_close(&cli->listing);
    free(cli->args);
    ego_option_list_release(&cli->set);
    if (cli->status) return cli->status;
    if (stop_signal) return EGO_EXIT_SIGNAL + stop_signal;
    return cli->failed ? EGO_EXIT_SOME_FAILED : EGO_EXIT_OK;
}

/* ---- lines out
 * ----------------------------------------------------------------------------------- */

static ego_err write_failed(ego_cli *cli) {
    int reason = errno;
    if (cli->status) return ego_fail(EGO_EIO, "stdout: %s", strerror(reason));
    if (reason == EPIPE) { /* the reader has enough: leave as quietly as any filter */
        cli->status = EGO_EXIT_SIGNAL + SIGPIPE;
        return ego_fail(EGO_ECANCELLED, "stdout: its reader has gone");
    }
    ego_err err = ego_fail(EGO_EIO, "stdout: cannot be written: %s", strerror(reason));
    ego_cli_fatal(cli, err);
    return err;
}

ego_err ego_cli_write(ego_cli *cli, const void *bytes, size_t n) {
    if (cli->bar_drawn && isatty(STDOUT_FILENO)) erase_bar(cli);
    errno = 0;
    return fwrite(bytes, 1, n, stdout) == n ? EGO_OK : write_failed(cli);
}

ego_err ego_cli_write_line(ego_cli *cli, ego_buf *line) {
    ego_buf_char(line, '\n');
    ego_err err = ego_buf_err(line);
    if (err == EGO_OK) err = ego_cli_write(cli, line->data, line->len);
    ego_buf_clear(line);
    return err;
}

ego_err ego_cli_flush(ego_cli *cli) {
    if (cli->output_closed) return EGO_OK;
    errno = 0;
    return fflush(stdout) == 0 ? EGO_OK : write_failed(cli);
}

ego_provenance ego_cli_provenance(const ego_cli *cli, const char *model, const char *config) {
    return (ego_provenance){.tool = cli->tool->name,
                            .model = model,
                            .config = config,
                            .has_seed = cli->seed_given,
                            .seed = (uint64_t)cli->seed};
}

void ego_cli_add_provenance(const ego_cli *cli, const char *model, const char *config,
                            ego_buf *line) {
    if (!cli->provenance) return;
    ego_provenance provenance = ego_cli_provenance(cli, model, config);
    ego_buf_json_key(line, "provenance");
    ego_provenance_write(&provenance, line);
}

bool ego_cli_binary_stdout(ego_cli *cli) {
    if (!isatty(STDOUT_FILENO)) return true;
    return ego_cli_usage(cli, "stdout is a terminal, and a binary stream is not written to one: "
                              "send it to a file or a pipe");
}

/* ---- records in
 * ---------------------------------------------------------------------------------- */

/* Opens the next input; EGO_EEND when there is none. */
static ego_err next_input(ego_cli *cli) {
    static const char *const standard[] = {"-"};
    bool none = cli->n_files == 0 && cli->n_media == 0;
    size_t n = none ? 1 : cli->n_files;
    if (cli->next_file == n) return ego_fail(EGO_EEND, "no more records");
    const char *path = none ? standard[0] : cli->files[cli->next_file];
    cli->next_file++;
    if (ego_is_listing(path)) return ego_listing_open(path, &cli->listing);
    return ego_lines_open(path, MAX_LINE, wake_pipe[0], &cli->lines);
}

bool ego_cli_input_paused(const ego_cli *cli) { return cli->lines && ego_lines_paused(cli->lines); }

bool ego_cli_would_wait(int fd) {
    struct pollfd in = {.fd = fd, .events = POLLIN};
    return poll(&in, 1, 0) == 0;
}

bool ego_cli_wait(ego_cli *cli, int fd) {
    if (ego_cli_would_wait(fd)) ego_cli_flush(cli);
    while (!ego_cli_stopped(cli)) {
        struct pollfd in[2] = {{.fd = fd, .events = POLLIN},
                               {.fd = wake_pipe[0], .events = POLLIN}};
        if (poll(in, 2, -1) < 0 && errno != EINTR) return true; /* reading will say what is wrong */
        if (in[0].revents) return !ego_cli_stopped(cli);
    }
    return false;
}

/* A line that could not even be read still has its place in the output. */
static ego_err refuse_line(ego_cli *cli, ego_record *record) {
    ego_err err = EGO_EINPUT;
    ego_buf label = {0}, id = {0};
    ego_buf_printf(&label, "%s:%" PRIu64, ego_lines_name(cli->lines), ego_lines_number(cli->lines));
    ego_buf_printf(&id, "%" PRIu64, cli->line_count + ego_lines_number(cli->lines));
    *record = (ego_record){.label = label.data, .id = id.data};
    return err;
}

static ego_err read_record(ego_cli *cli, const ego_record_rules *rules, ego_record *record) {
    char *text;
    size_t n;
    for (;;) {
        if (stop_signal || cli->status) return ego_fail(EGO_EEND, "stopped");
        if (cli->listing.path) {
            ego_err listed = ego_listing_next(&cli->listing, cli->line_count, rules, record);
            if (listed != EGO_EEND) return listed;
            cli->line_count += cli->listing.number;
            ego_listing_close(&cli->listing);
        }
        if (!cli->lines) EGO_TRY(next_input(cli));
        if (!cli->lines) continue; /* a list */
        if (ego_lines_paused(cli->lines)) EGO_TRY(ego_cli_flush(cli));
        ego_err err = ego_lines_next(cli->lines, &text, &n);
        if (err == EGO_OK) break;
        if (err == EGO_ECANCELLED) return ego_fail(EGO_EEND, "stopped");
        if (err == EGO_EINPUT) return refuse_line(cli, record);
        if (err != EGO_EEND) return err;
        cli->line_count += ego_lines_number(cli->lines);
        ego_lines_close(cli->lines);
        cli->lines = NULL;
    }
    uint64_t line = ego_lines_number(cli->lines);
    return ego_record_parse(text, n, ego_lines_name(cli->lines), line, cli->line_count + line,
                            rules, record);
}

bool ego_cli_name_in_shard(const ego_cli *cli, const char *name) {
    return cli->shard.count == 1 ||
           ego_rng_mix(ego_fnv1a(name)) % (uint64_t)cli->shard.count == (uint64_t)cli->shard.index;
}

bool ego_cli_in_shard(const ego_cli *cli, const ego_record *r) {
    const char *name = r->video ? r->video : r->frames ? r->frames : r->id ? r->id : "";
    return ego_cli_name_in_shard(cli, name);
}

ego_err ego_cli_next_record(ego_cli *cli, const ego_record_rules *rules, ego_record *record) {
    for (;;) {
        *record = (ego_record){0};
        ego_err err = read_record(cli, rules, record);
        bool bad = err == EGO_EINPUT || err == EGO_EFORMAT;
        if ((err != EGO_OK && !bad) || ego_cli_in_shard(cli, record)) return err;
        ego_record_release(record);
    }
}

bool ego_cli_record_done(ego_cli *cli, ego_record *record, ego_err err) {
    /* These are no fault of the record's: the next one would meet them too. */
    bool shared = err == EGO_ENOMEM || err == EGO_ECANCELLED || !record->id;
    if (err != EGO_OK && shared) {
        ego_cli_fatal(cli, err);
    } else if (err != EGO_OK) {
        ego_buf line = {0};
        cli->failed++;
        ego_record_error(record, ego_err_message(), &line);
        if (!cli->quiet) complain(cli, record->label, ego_err_message());
        ego_cli_write_line(cli, &line);
        ego_buf_release(&line);
    }
    ego_record_release(record);
    return !ego_cli_stopped(cli);
}

/* ---- progress
 * ------------------------------------------------------------------------------------ */

static int terminal_columns(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20) return size.ws_col - 1;
    return 79;
}

void ego_cli_show_progress(ego_cli *cli, const char *what, uint64_t done, uint64_t total) {
    bool terminal = isatty(STDERR_FILENO);
    if (cli->progress_mode == PROGRESS_NEVER) return;
    if (cli->progress_mode == PROGRESS_AUTO && (!terminal || cli->quiet)) return;
    double now = seconds_now();
    if (now - cli->meter_drawn < (terminal ? 0.1 : 1.0)) return;
    cli->meter_drawn = now;

    ego_meter meter = {.what = what,
                       .done = done,
                       .total = total,
                       .done_before = cli->meter_done,
                       .started = cli->meter_started,
                       .now = now,
                       .note = *cli->meter_note ? cli->meter_note : NULL};
    ego_buf line = {0};
    ego_meter_line(&meter, terminal_columns(), &line);
    if (line.data) fprintf(stderr, terminal ? "\r%s\033[K" : "%s\n", line.data);
    fflush(stderr);
    cli->bar_drawn = terminal;
    ego_buf_release(&line);
}

static bool report(void *context, const char *what, uint64_t done, uint64_t total) {
    ego_cli *cli = context;
    ego_cli_show_progress(cli, what, done, total);
    return !ego_cli_stopped(cli);
}

static void note_progress(void *context, const char *text) {
    ego_cli *cli = context;
    snprintf(cli->meter_note, sizeof cli->meter_note, "%s", text);
}

static void start_progress(void *context, uint64_t done) {
    ego_cli *cli = context;
    cli->meter_started = seconds_now();
    cli->meter_done = done;
}

ego_progress ego_cli_progress(ego_cli *cli) {
    return (ego_progress){report, cli, note_progress, start_progress};
}
