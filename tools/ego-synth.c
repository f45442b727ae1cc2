/* ego-synth: a small first-person data set of one's own, drawn from a seed. */
#include "cli.h"

#include "media/encode.h"
#include "synth/synth.h"

#include <string.h>

enum { BOTH = 2 };

static int split = BOTH;
static int64_t videos = 20, questions, qa_rounds = 1;
static double minutes = 2;
static bool annotations_only, no_qa_videos;
static const char *preview;

static const ego_option options[] = {
    {.name = "split",
     .type = EGO_OPTION_CHOICE,
     .arg = "train|test|both",
     .value = &split,
     .help = "which split to make (both: the test split half as large)"},
    {.name = "videos",
     .letter = 'n',
     .type = EGO_OPTION_INT,
     .arg = "N",
     .value = &videos,
     .min = 1,
     .max = 10000,
     .help = "how many videos (20)"},
    {.name = "minutes",
     .type = EGO_OPTION_NUMBER,
     .arg = "M",
     .value = &minutes,
     .min = 0.5,
     .max = 60,
     .help = "how long each is (2)"},
    {.name = "questions",
     .type = EGO_OPTION_INT,
     .arg = "N",
     .value = &questions,
     .min = 1,
     .max = 1000000,
     .help = "how many in egomcq.json (two for each test clip)"},
    {.name = "qa-rounds",
     .type = EGO_OPTION_INT,
     .arg = "N",
     .value = &qa_rounds,
     .min = 1,
     .max = 1000,
     .help = "how often EgoTaskQA's questions are drawn for each interval (1)"},
    {.name = "annotations-only",
     .type = EGO_OPTION_FLAG,
     .value = &annotations_only,
     .help = "write the annotation files, draw no videos"},
    {.name = "no-qa-videos",
     .type = EGO_OPTION_FLAG,
     .value = &no_qa_videos,
     .help = "do not cut EgoTaskQA's intervals out as files of their own"},
    {.name = "preview",
     .type = EGO_OPTION_FILE,
     .arg = "FILE.png",
     .value = &preview,
     .help = "a sheet of what each action looks like; without DIR, nothing else"},
    {0}};

static const ego_cli_tool tool = {
    .name = "ego-synth",
    .usage = "[OPTIONS] DIR\n[OPTIONS] --preview FILE.png",
    .summary = "Draws first-person videos and writes them with the benchmarks' annotation files:\n"
               "EgoClip, EgoMCQ, Ego4D NLQ, EgoTaskQA and QFVS. The seed decides everything.",
    .example = "ego-synth --videos 4 --minutes 1 --preview actions.png world",
    .options = options,
    .uses = EGO_CLI_USES_WORK | EGO_CLI_USES_SEED};

int main(int argc, char **argv) {
    ego_cli cli;
    if (!ego_cli_begin(&cli, &tool, argc, argv)) return ego_cli_end(&cli);
    if (cli.n_args > 1 || (cli.n_args == 0 && !preview)) {
        ego_cli_usage(&cli,
                      cli.n_args ? "one directory expected, found %zu arguments"
                                 : "the directory to write to is missing (%zu arguments)",
                      cli.n_args);
        return ego_cli_end(&cli);
    }
    ego_synth_options o = {.directory = cli.n_args ? cli.args[0] : NULL,
                           .train_videos = split == 1 ? 0 : (int)videos,
                           .test_videos =
                               split == 0 ? 0 : (int)(split == BOTH ? (videos + 1) / 2 : videos),
                           .minutes = minutes,
                           .seed = (uint64_t)cli.seed,
                           .threads = (unsigned)cli.threads,
                           .questions = (int)questions,
                           .qa_rounds = (int)qa_rounds,
                           .annotations_only = annotations_only,
                           .no_qa_videos = no_qa_videos,
                           .preview = preview,
                           .preview_only = cli.n_args == 0};
    ego_progress progress = ego_cli_progress(&cli);
    ego_err err = ego_synth_run(&o, &progress);
    if (err != EGO_OK)
        ego_cli_fatal(&cli, err);
    else if (!o.preview_only && !annotations_only && strncmp(ego_encode_name(), "libx264", 7) != 0)
        ego_cli_note(&cli, "FFmpeg here has no libx264: the videos are not H.264 but %s",
                     ego_encode_name());
    return ego_cli_end(&cli);
}
