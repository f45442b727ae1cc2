# The official weights and RoBERTa's vocabulary, fetched from where their authors publish them and
# converted; for `include weights/get.mk` in the Makefile, or by itself: make -f weights/get.mk weights
#
#   make weights                             EgoVLPv2.pth, the vocabulary, one .safetensors of both
#   make weights-smallproj                   EgoVLPv2_smallproj.pth likewise (zero-shot EK-100)
#   make weights-smallproj-epoch1            EgoVLPv2_smallproj_epoch1.pth (zero-shot Charades-Ego)
#   make weights-vocabulary                  vocab.json and merges.txt alone
#
# Nothing else in this repository uses the network. A download that was interrupted goes on where it
# stopped. The SHA-256 of a first download is kept in NAME.sha256, and later ones must have it.

BUILD       ?= build
WEIGHTS_DIR ?= weights/official
WEIGHTS_URL ?= https://www.cis.jhu.edu/~shraman/EgoVLPv2/ckpts/Pre-trained
ROBERTA_URL ?= https://huggingface.co/FacebookAI/roberta-base/resolve/main
ROBERTA_DIR := $(WEIGHTS_DIR)/roberta-base

.PHONY: weights weights-smallproj weights-smallproj-epoch1 weights-vocabulary
weights: $(WEIGHTS_DIR)/EgoVLPv2.safetensors
weights-smallproj: $(WEIGHTS_DIR)/EgoVLPv2_smallproj.safetensors
weights-smallproj-epoch1: $(WEIGHTS_DIR)/EgoVLPv2_smallproj_epoch1.safetensors
weights-vocabulary: $(ROBERTA_DIR)/vocab.json $(ROBERTA_DIR)/merges.txt

# $(call weights_get,URL[,SHA-256]): fetches URL to $@, whole or not at all.
define weights_get
@mkdir -p $(@D)
@if command -v curl >/dev/null; then curl -fL --retry 5 -C - -o $@.part $(1); else wget -c -O $@.part $(1); fi
@sum=$$(sha256sum <$@.part | cut -d' ' -f1); \
if [ ! -e $@.sha256 ]; then echo $(or $(2),$$sum) >$@.sha256; fi; \
kept=$$(cat $@.sha256); \
if [ "$$sum" != "$$kept" ]; then \
    echo "$@: expected SHA-256 $$kept ($@.sha256), found $$sum; what came is in $@.part" >&2; exit 1; \
fi; \
echo "$@: SHA-256 $$sum"; mv $@.part $@
endef

$(WEIGHTS_DIR)/%.pth:
	$(call weights_get,$(WEIGHTS_URL)/$*.pth)
$(ROBERTA_DIR)/vocab.json:
	$(call weights_get,$(ROBERTA_URL)/vocab.json,9e7f63c2d15d666b52e21d250d2e513b87c9b713cfa6987a82ed89e5e6e50655)
$(ROBERTA_DIR)/merges.txt:
	$(call weights_get,$(ROBERTA_URL)/merges.txt,1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5)

# One file is the whole model. --pack: opening copies nothing.
$(WEIGHTS_DIR)/%.safetensors: $(WEIGHTS_DIR)/%.pth $(ROBERTA_DIR)/vocab.json $(ROBERTA_DIR)/merges.txt | $(BUILD)/bin/ego-model
	$(BUILD)/bin/ego-model convert $< --tokenizer $(ROBERTA_DIR) --pack --force -o $@

.PRECIOUS: $(WEIGHTS_DIR)/%.pth
