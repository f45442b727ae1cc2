# The small model, trained on ego-synth's worlds: data, nine runs, one file. Every piece goes on where it was cut off.
#
#   make small          everything: hours on two cores, in as many sittings as it takes
#   make small-data     the worlds and the vocabulary alone
#   make small-score    EgoMCQ on the test world, which nothing was chosen by

SMALL       := build/small
SMALL_BIN    = $(BUILD)/bin
SMALL_SYNTH  = $(SMALL_BIN)/ego-synth --no-qa-videos

.PHONY: small small-data small-score
small-data: $(SMALL)/both.csv $(SMALL)/all.csv $(SMALL)/validate.done $(SMALL)/test.done $(SMALL)/tokenizer/vocab.json
$(SMALL)/train.done: | $(TOOLS)
	@mkdir -p $(SMALL); $(SMALL_SYNTH) --split train --videos 240 --seed 1 $(SMALL)/train && touch $@
# The second stage sees more worlds beside those of the first.
$(SMALL)/more.done: | $(TOOLS)
	@mkdir -p $(SMALL); $(SMALL_SYNTH) --split train --videos 160 --seed 2 $(SMALL)/more && touch $@
# The last stage sees more still.
$(SMALL)/third.done: | $(TOOLS)
	@mkdir -p $(SMALL); $(SMALL_SYNTH) --split train --videos 140 --seed 3 $(SMALL)/third && touch $@
# One world's videos beside another's, one world's rows behind another's.
small_join = for v in $(1)/videos/*; do ln -sfn ../../$(notdir $(1))/videos/$$(basename $$v) $(SMALL)/train/videos/; done; \
             { cat $(2); tail -n +2 $(1)/egoclip.csv; } >$@.part && mv $@.part $@
$(SMALL)/both.csv: $(SMALL)/train.done $(SMALL)/more.done
	@$(call small_join,$(SMALL)/more,$(SMALL)/train/egoclip.csv)
$(SMALL)/all.csv: $(SMALL)/both.csv $(SMALL)/third.done
	@$(call small_join,$(SMALL)/third,$(SMALL)/both.csv)
$(SMALL)/validate.done: | $(TOOLS)
	@mkdir -p $(SMALL); $(SMALL_SYNTH) --split test --videos 8 --seed 777 $(SMALL)/validate && touch $@
$(SMALL)/test.done: | $(TOOLS)
	@mkdir -p $(SMALL); $(SMALL_SYNTH) --split test --videos 48 --seed 20261121 $(SMALL)/test && touch $@
$(SMALL)/tokenizer/vocab.json: $(SMALL)/train.done
	@$(SMALL_BIN)/ego-model learn-tokenizer --size 600 --force -o $(SMALL)/tokenizer $(SMALL)/train/egoclip.csv

# The newest checkpoint of a finished run, as a model of its own.
small_export = $(SMALL_BIN)/ego-model convert --force $$(ls $(1)/checkpoint-*.safetensors | sort -V | tail -n 1)

# Six stages: both encoders alone; all objectives, matching against drawn negatives, until cross-attention has begun
# to see; all objectives against hard negatives; both encoders alone again, with frames' positions that are heard and
# partners that only order tells apart; all objectives with such partners; the same with more worlds and a share of clips
# recoloured, so that things are known by their shapes.
$(SMALL)/dual.safetensors: weights/small/dual.json | small-data
$(SMALL)/easy.safetensors: weights/small/easy.json $(SMALL)/dual.safetensors
$(SMALL)/fused.safetensors: weights/small/fused.json $(SMALL)/easy.safetensors
$(SMALL)/order.safetensors: weights/small/order.json $(SMALL)/fused.safetensors
$(SMALL)/again.safetensors: weights/small/again.json $(SMALL)/order.safetensors
$(SMALL)/shapes.safetensors: weights/small/shapes.json $(SMALL)/all.csv $(SMALL)/again.safetensors
$(addprefix $(SMALL)/,$(addsuffix .safetensors,dual easy fused order again shapes)):
	@$(SMALL_BIN)/ego-train pretrain --resume $<
	@$(call small_export,$(@:.safetensors=)) -o $@
# Then the two encoders are what they will be, 16 bits a weight, and three stages teach what joins them: lists of
# look-alikes, the same with fewer clips recoloured, lists of moments of one video.
$(SMALL)/encoders.safetensors: $(SMALL)/shapes.safetensors
	@$(SMALL_BIN)/ego-model convert --force --store f16 $< -o $@
$(SMALL)/match.safetensors: weights/small/match.json $(SMALL)/encoders.safetensors
$(SMALL)/match-again.safetensors: weights/small/match-again.json $(SMALL)/match.safetensors
$(SMALL)/match-scene.safetensors: weights/small/match-scene.json $(SMALL)/match-again.safetensors
$(addprefix $(SMALL)/,$(addsuffix .safetensors,match match-again match-scene)):
	@$(SMALL_BIN)/ego-train pretrain --resume $<
	@$(call small_export,$(@:.safetensors=)) --store f16 -o $@
# What the fused encoder's word is worth beside the dual one's, on the validation world.
$(SMALL)/validated.jsonl: $(SMALL)/match-scene.safetensors $(SMALL)/validate.done
	@$(SMALL_BIN)/ego-mcq -m $< --video-root $(SMALL)/validate/videos $(SMALL)/validate/egomcq.json >$@.part && mv $@.part $@
$(SMALL)/ego-small.safetensors: $(SMALL)/match-scene.safetensors $(SMALL)/validated.jsonl
	@$(SMALL_BIN)/ego-model convert --force --set ensemble=$$(sh weights/small/ensemble.sh $(SMALL)/validated.jsonl) $< -o $@
small: $(SMALL)/ego-small.safetensors
small-score: $(SMALL)/ego-small.safetensors $(SMALL)/test.done $(BUILD)/tests/bench/guess_mcq
	@PATH=$(abspath $(SMALL_BIN)):$$PATH EGO_BUILD=$(BUILD) sh weights/small/score.sh $< $(SMALL)/test $(SMALL)/train/egoclip.csv $(SMALL)/score

# ---- the tasks' heads ------------------------------------------------------------------------------------------

# Trained on the model that ships, which need not be trained again for it. Spans are learned from a quarter of the first
# world's videos, for their features are of every clip with every query; answers from the questions of all worlds.
HEADS := $(SMALL)/heads
$(HEADS)/nlq_train.json: $(SMALL)/train.done
	@mkdir -p $(HEADS); jq -c '.videos |= .[:64]' $(SMALL)/train/nlq_train.json >$@.part && mv $@.part $@
# Each interval is asked six times over: a head forgets less of what it reads often in other words.
$(HEADS)/qa_train.json: $(SMALL)/all.csv
	@for world in '240 1' '160 2' '140 3'; do set -- $$world; \
	    $(SMALL_SYNTH) -q --annotations-only --qa-rounds 6 --split train --videos $$1 --seed $$2 $(HEADS)/asked/$$2; done
	@jq -cs add $(HEADS)/asked/*/qa/direct/formatted_train_qas_encode.json >$@.part && mv $@.part $@
$(HEADS)/%.done: weights/small/heads/%.json weights/ego-small.safetensors $(HEADS)/nlq_train.json $(HEADS)/qa_train.json \
    $(SMALL)/validate.done
	@$(SMALL_BIN)/ego-train $* --resume $< && touch $@
$(HEADS)/%.safetensors: $(HEADS)/%.done
	@$(SMALL_BIN)/ego-model convert --force --store f16 $(HEADS)/$*/head.safetensors -o $@
.PHONY: small-heads small-table
small-heads: $(HEADS)/nlq.safetensors $(HEADS)/qa.safetensors $(HEADS)/qfvs.safetensors
# The README's table: every task on the test world, by the model that ships and heads trained on it.
small-table: small-heads $(SMALL)/test.done | $(TOOLS)
	@PATH=$(abspath $(SMALL_BIN)):$$PATH sh weights/small/tasks.sh weights/ego-small.safetensors $(HEADS) \
	    $(SMALL)/test $(SMALL)/train $(SMALL)/table
