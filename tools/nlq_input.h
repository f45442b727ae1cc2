/* What ego-nlq is asked, one question after the other: every --query of every MEDIA; Ego4D's own files, as
 * their contents tell; all other files together as lines of records, or standard input. */
#ifndef EGO_TOOLS_NLQ_INPUT_H
#define EGO_TOOLS_NLQ_INPUT_H

#include "cli.h"
#include "task/nlq_question.h"

typedef struct ego_nlq_input_options {
    const char *annotations;       /* one of Ego4D's whatever its name, before all others; NULL: none */
    const ego_option_list *asked;  /* --query; borrowed */
    bool official;                 /* only Ego4D's own can be answered: records are EGO_EINPUT */
} ego_nlq_input_options;

typedef struct ego_nlq_input {
    uint64_t total;   /* questions up to the end of the file in hand; 0: not known */
    uint64_t no_text; /* queries that were passed over: they have no text */

    /* private */
    ego_cli *cli;
    ego_nlq_input_options options;
    uint64_t given, number; /* questions; those of media, whatever the shard */
    size_t medium, query;   /* the next of them */
    bool annotations, records; /* still to come */
    size_t file, n_files, n_lines; /* of cli->files: the next, all, and those at the front that hold lines */
    ego_arena arena;
    ego_nlq all; /* the file in hand, with its path; NULL: none */
    const char *path;
    size_t at;
} ego_nlq_input;

void ego_nlq_input_open(ego_cli *cli, const ego_nlq_input_options *options, ego_nlq_input *input);
void ego_nlq_input_close(ego_nlq_input *input); /* after the questions, which borrow from it */

/* The next question of this process's shard, to be released, perhaps one that is wrong from the start. EGO_EEND
 * after the last, or once stopped; any other code ends the work. */
ego_err ego_nlq_input_next(ego_nlq_input *input, ego_nlq_question *question);

/* The next has not arrived yet, or another file is to be opened for it: answer what was gathered. */
bool ego_nlq_input_paused(const ego_nlq_input *input);

#endif
