# What the Makefiles of the benchmarks share. Each includes this after its own settings and says
#     probe   a command that prints records of a few clips, which `make plan` embeds (probed: into which file), and
#     work    one that prints what there is to compute, as plan.jq reads it;
#     also    perhaps one that `make plan` ends with.

.DEFAULT_GOAL := row.txt

VIDEOS ?= videos
MODEL  ?= $(EGO_MODEL)
# Parts that the work is cut into. An interrupted run goes on with those that are missing, and machines that
# share a folder may make some each: `make answers/03.jsonl`.
SHARDS ?= 16
# Text, in tokens, that the plan counts with.
TOKENS ?= 15
probed ?= probe.jsonl
also   ?= :

here   := $(dir $(firstword $(MAKEFILE_LIST)))
common := $(dir $(lastword $(MAKEFILE_LIST)))
shards := $(shell seq -f '%02.0f' 0 $$(($(SHARDS) - 1)))
model   = -m '$(MODEL)' --frames $(FRAMES) --video-root '$(VIDEOS)'

# $(call shard,COMMAND,INPUTS): the part of the work that the target's name ends in. It is there when it is whole:
# what failed (status 1) leaves its lines in FILE.part.
define shard
@mkdir -p $(@D)
$(1) --shard $$(expr $(basename $(notdir $@)) + 0)/$(SHARDS) $(2) >$@.part
@mv $@.part $@
endef

# $(call row,TASK,PREDICTIONS,TRUTH,PAPER): a table of the metrics that the paper has, ours beside its own.
define row
@ego-score --ci $(1) $(2) $(3) >$@.scores
@jq -rs --argjson paper '$(4)' -f $(common)row.jq $@.scores >$@.part
@rm $@.scores; mv $@.part $@; cat $@
endef

.PHONY: plan head clean
plan:
	@$(probe) >$(probed)
	@{ ego-model info --frames $(FRAMES) --tokens $(TOKENS) '$(MODEL)'; $(work); \
	    sh $(common)measure.sh $(probed) $(model); } | jq -rs -f $(common)plan.jq
	@rm $(probed)
	@$(also)

clean:
	rm -rf answers clips head features row*.txt row*.part row*.scores $(probed)
