# Ego: first-person video, searchable by language.
#
#   make            build everything into build/
#   make demo       install what is missing, build, search a few synthetic videos
#   make test       install what is missing, build, run every test
#   make check      the floors of the house, headers alone, formatting
#   make asan tsan  the tests under sanitizers    make nightly  the same, every byte cut and flipped
#   make fuzz       every parser, FUZZ_SECONDS each
#   make bench      kernels and end to end        make install  DESTDIR= PREFIX=/usr/local
#   make small      train the small model (weights/small.mk)
#   make plot LOG=run/log.jsonl [OUT=plot.png]    the curves of a training run
#
# No configure step; objects depend on the headers they read and on the flags they were built with.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := all
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

VERSION   := 0.1.0
SOVERSION := 0
PREFIX    ?= /usr/local
BUILD     ?= build
CC        ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
PYTHON    ?= python3
PKGS      := libavformat libavcodec libswscale libavutil libcjson libcrypto zlib libpng

SAN       ?=
CFLAGS    ?= -O2 -g
WARN      := -Wall -Wextra -Wno-missing-field-initializers -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wcast-qual -Wpointer-arith -Werror=implicit
ifeq ($(findstring clang,$(CC)),)
WARN      += -Wno-format-truncation
endif
CPPFLAGS  += -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -DEGO_VERSION='"$(VERSION)"' \
             -DEGO_DATADIR='"$(PREFIX)/share/ego"' -Ilibcore
override CFLAGS += -std=c11 -fPIC -fvisibility=hidden -fno-math-errno -pthread $(WARN)
ifneq ($(SAN),)
override CFLAGS  += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
override LDFLAGS += -fsanitize=$(SAN)
endif
LDFLAGS   += -pthread -Wl,--as-needed

PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm

# ---- what there is to build -------------------------------------------------------------------------
LIB_SRC   := $(shell find libcore -name '*.c' -not -path '*/cuda/*' -not -name 'kernels.c')
TOOL_SRC  := $(wildcard tools/ego-*.c)
TOOLS     := $(TOOL_SRC:tools/%.c=$(BUILD)/bin/%)
UNIT_SRC  := $(wildcard tests/unit/*.c) $(wildcard tests/golden/*.c)
UNITS     := $(UNIT_SRC:%.c=$(BUILD)/%)
BENCH_SRC := $(wildcard tests/bench/*.c)
BENCHES   := $(BENCH_SRC:%.c=$(BUILD)/%)
FUZZERS   := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAYS   := $(FUZZERS:%=$(BUILD)/tests/fuzz/%)
CLI_TESTS := $(filter-out %/lib.sh %/make_media.sh,$(wildcard tests/cli/*.sh))

# The vector kernels are one source compiled once per instruction set and chosen at run time.
MACHINE   := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ISAS      := generic
ifeq ($(MACHINE),x86_64)
ISAS      += avx2 avx512
endif
ISA_FLAGS_generic :=
ISA_FLAGS_avx2    := -mavx2 -mfma -DEGO_ISA=avx2
ISA_FLAGS_avx512  := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512 -DEGO_ISA=avx512
KERNEL_OBJ := $(ISAS:%=$(BUILD)/libcore/tensor/cpu/kernels-%.o)

# MPI (auto: where pkg-config knows OpenMPI; none; or its pkg-config name) is linked by what trains alone:
# dist.c, compiled once more, stands before the library and so in the place of the library's own.
MPI       ?= auto
ifeq ($(MPI),auto)
override MPI := $(shell pkg-config --exists ompi 2>/dev/null && echo ompi || echo none)
endif
ifneq ($(MPI),none)
MPI_OBJ    := $(BUILD)/libcore/train/dist-mpi.o
MPI_CFLAGS := -DEGO_MPI $(shell pkg-config --cflags $(MPI))
MPI_LIBS   := $(shell pkg-config --libs $(MPI))
endif
MPI_USERS := $(BUILD)/bin/ego-train $(BUILD)/tests/unit/test_dist $(BUILD)/tests/unit/test_step

MODEL     := $(wildcard weights/ego-small.safetensors) # what tools open when no model is named
# With it the heads that were trained on it: nlq, qa, qfvs.
SHIPPED   := $(MODEL:%=$(BUILD)/share/ego/model.safetensors) \
             $(patsubst weights/ego-small-%,$(BUILD)/share/ego/%,$(wildcard weights/ego-small-*.safetensors))

LIB_OBJ   := $(LIB_SRC:%.c=$(BUILD)/%.o) $(KERNEL_OBJ)
CLI_OBJ   := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(TOOL_SRC),$(wildcard tools/*.c)))

.PHONY: all lib tools units kernels
kernels: $(KERNEL_OBJ)
all: lib tools $(BUILD)/libego.so.$(VERSION) $(SHIPPED)
lib: $(BUILD)/libego.a
tools: $(TOOLS)
units: $(UNITS)

$(BUILD)/share/ego/model.safetensors: $(MODEL)
	@mkdir -p $(@D); cp $< $@
$(BUILD)/share/ego/%.safetensors: weights/ego-small-%.safetensors
	@mkdir -p $(@D); cp $< $@

# Rebuild when the flags change, not only the sources.
FLAGS_NOW := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(PKG_CFLAGS) $(MPI_CFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$(FLAGS_NOW))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS_NOW))' > $@
.PHONY: FORCE
FORCE:

$(BUILD)/libcore/tensor/cpu/kernels-%.o: libcore/tensor/cpu/kernels.c $(BUILD)/flags
	@mkdir -p $(@D); echo "  CC  $< ($*)"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -O3 -ffp-contract=fast $(ISA_FLAGS_$*) -MMD -MP -c $< -o $@
$(BUILD)/libcore/train/dist-mpi.o: libcore/train/dist.c $(BUILD)/flags
	@mkdir -p $(@D); echo "  CC  $< (MPI)"
	@$(CC) $(CPPFLAGS) $(MPI_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D); echo "  CC  $<"
	@$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) $(if $(filter tests/%,$<),-Itests) -MMD -MP -c $< -o $@
$(BUILD)/libego.a: $(LIB_OBJ)
	@echo "  AR  $@"; rm -f $@; $(AR) rcs $@ $^
$(BUILD)/libego.so.$(VERSION): $(LIB_OBJ)
	@echo "  LD  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libego.so.$(SOVERSION) $^ $(PKG_LIBS) -o $@
$(MPI_USERS): $(MPI_OBJ)
$(MPI_USERS): EXTRA_LIBS = $(MPI_LIBS)
# From an archive each tool takes what it calls: ego-score opens no model and links no video.
$(BUILD)/tools.a: $(CLI_OBJ)
	@echo "  AR  $@"; rm -f $@; $(AR) rcs $@ $^
$(BUILD)/bin/%: $(BUILD)/tools/%.o $(BUILD)/tools.a $(BUILD)/libego.a
	@mkdir -p $(@D); echo "  LD  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(PKG_LIBS) $(EXTRA_LIBS) -o $@
$(REPLAYS): $(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(BUILD)/libego.a
	@mkdir -p $(@D); echo "  LD  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $(PKG_LIBS) -o $@
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libego.a
	@mkdir -p $(@D); echo "  LD  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(PKG_LIBS) $(EXTRA_LIBS) $(TEST_LIBS) -o $@
.SECONDARY:

# ---- a fresh machine ---------------------------------------------------------------------------------
DEB_BUILD := pkg-config libavformat-dev libavcodec-dev libswscale-dev libavutil-dev libcjson-dev libssl-dev zlib1g-dev libpng-dev
DEB_TEST  := ffmpeg jq gnuplot-nox libopenmpi-dev openmpi-bin
DEB_FUZZ  := clang libclang-rt-14-dev

# $(call need,PACKAGES): installs those that dpkg does not know as installed; says how, where it may not.
define need
@missing=; for p in $(1); do \
    dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
[ -z "$$missing" ] || if ! command -v apt-get >/dev/null; then \
    pkg-config --exists $(PKGS) || { echo "install what Debian calls:$$missing" >&2; exit 1; }; \
elif [ "$$(id -u)" = 0 ]; then \
    echo "  APT $$missing"; \
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; } >/tmp/ego-apt.log 2>&1 \
    || { tail -n 20 /tmp/ego-apt.log >&2; exit 1; }; \
else echo "missing packages; please run:  sudo apt-get install$$missing" >&2; exit 1; fi
endef
.PHONY: deps deps-test deps-fuzz
deps: ; $(call need,$(DEB_BUILD))
deps-test: ; $(call need,$(DEB_BUILD) $(DEB_TEST))
deps-fuzz: ; $(call need,$(DEB_BUILD) $(DEB_FUZZ))

.PHONY: demo
demo: deps
	@$(MAKE) all
	@EGO_BIN=$(BUILD)/bin sh examples/demo.sh $(BUILD)/demo

# ---- tests --------------------------------------------------------------------------------------------
.PHONY: test test-run check asan tsan nightly fuzz bench
test: deps-test
	@$(MAKE) check test-run
test-run: all units $(REPLAYS)
	@EGO_BIN=$(BUILD)/bin EGO_BUILD=$(BUILD) sh tests/run $(UNITS) $(REPLAYS) $(CLI_TESTS)

check:
	@CC='$(CC)' CPPFLAGS='$(CPPFLAGS) $(PKG_CFLAGS)' sh tests/floors.sh

# The full-size model would take these many minutes; every other test runs.
asan: deps-test
	@EGO_SKIP_FULL_SIZE=1 ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1 \
	    $(MAKE) BUILD=build/asan SAN=address,undefined CFLAGS='-O1 -g' test-run
# What runs threads: the pool, the operations on it, reading beside computing, search, and a tool.
TSAN_TESTS := test_base test_ops test_chain test_model test_media_clips test_match test_train test_train_run test_rows test_cache test_attention_back test_step
tsan: deps-test
	@$(MAKE) BUILD=build/tsan SAN=thread CFLAGS='-O1 -g' all $(TSAN_TESTS:%=build/tsan/tests/unit/%)
	@EGO_BIN=build/tsan/bin EGO_BUILD=build/tsan EGO_TSAN=1 sh tests/run $(TSAN_TESTS:%=build/tsan/tests/unit/%) tests/cli/determinism.sh
# Every byte of every structure instead of a sample.
nightly: deps-test
	@EGO_NIGHTLY=1 $(MAKE) BUILD=build/asan SAN=address,undefined CFLAGS='-O1 -g' test-run

FUZZ_SECONDS ?= 60
fuzz: deps-fuzz
	@$(MAKE) BUILD=build/fuzz/kernels SAN= CFLAGS='-O1 -g' kernels # gcc's own, without sanitizers: no parser
	@$(MAKE) BUILD=build/fuzz CC=clang SAN=fuzzer-no-link,address,undefined CFLAGS='-O1 -g' \
	    KERNEL_OBJ='$(ISAS:%=build/fuzz/kernels/libcore/tensor/cpu/kernels-%.o)' fuzz-build
	@for f in $(FUZZERS); do name=$${f#fuzz_}; mkdir -p build/fuzz/corpus/$$name build/fuzz/found; \
	    echo "  FUZZ $$name ($(FUZZ_SECONDS) s)"; \
	    build/fuzz/bin/$$f -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
	        -artifact_prefix=build/fuzz/found/$$name- build/fuzz/corpus/$$name tests/fuzz/corpus/$$name \
	        >build/fuzz/$$name.log 2>&1 || { tail -n 30 build/fuzz/$$name.log; exit 1; }; \
	    grep -E 'number_of_executed_units|peak_rss' build/fuzz/$$name.log; done
.PHONY: fuzz-build
fuzz-build: $(FUZZERS:%=$(BUILD)/bin/%)
$(BUILD)/bin/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/libego.a
	@mkdir -p $(@D); echo "  LD  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer $^ $(PKG_LIBS) -o $@

bench: deps
	@$(MAKE) all $(BENCHES)
	@for b in $(BENCHES); do echo "== $$b"; $$b || exit 1; done

.PHONY: plot
plot:
	@sh examples/plot.sh '$(or $(LOG),$(error make plot LOG=run/log.jsonl [OUT=plot.png]))' '$(or $(OUT),plot.png)'

# ---- installing -----------------------------------------------------------------------------------------
BINDIR = $(DESTDIR)$(PREFIX)/bin
LIBDIR = $(DESTDIR)$(PREFIX)/lib
INCDIR = $(DESTDIR)$(PREFIX)/include/ego
MANDIR = $(DESTDIR)$(PREFIX)/share/man
.PHONY: install uninstall completions clean
completions: $(TOOLS:$(BUILD)/bin/%=$(BUILD)/completions/%.bash) $(TOOLS:$(BUILD)/bin/%=$(BUILD)/completions/_%)
$(BUILD)/completions/%.bash: $(BUILD)/bin/%
	@mkdir -p $(@D); $< --completion bash > $@
$(BUILD)/completions/_%: $(BUILD)/bin/%
	@mkdir -p $(@D); $< --completion zsh > $@

install: all completions
	@install -d $(BINDIR) $(LIBDIR)/pkgconfig $(INCDIR)/base $(DESTDIR)$(PREFIX)/share/ego \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
	    $(MANDIR)/man1 $(MANDIR)/man5 $(MANDIR)/man7
	@install -m 755 $(TOOLS) $(BINDIR)
	@$(if $(SHIPPED),install -m 644 $(SHIPPED) $(DESTDIR)$(PREFIX)/share/ego)
	@install -m 644 $(BUILD)/libego.a $(LIBDIR)
	@install -m 755 $(BUILD)/libego.so.$(VERSION) $(LIBDIR)
	@ln -sf libego.so.$(VERSION) $(LIBDIR)/libego.so.$(SOVERSION); ln -sf libego.so.$(SOVERSION) $(LIBDIR)/libego.so
	@install -m 644 libcore/ego.h $(INCDIR); install -m 644 libcore/base/err.h $(INCDIR)/base
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include/ego' '' \
	    'Name: ego' 'Description: EgoVLPv2 in C: first-person video searchable by language' 'Version: $(VERSION)' \
	    'Requires.private: $(PKGS)' 'Libs: -L$${libdir} -lego' 'Libs.private: -lm -pthread' 'Cflags: -I$${includedir}' \
	    > $(LIBDIR)/pkgconfig/ego.pc
	@for t in $(notdir $(TOOLS)); do \
	    install -m 644 $(BUILD)/completions/$$t.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$t; \
	    install -m 644 $(BUILD)/completions/_$$t $(DESTDIR)$(PREFIX)/share/zsh/site-functions; done
	@for m in man/*.[157]; do install -m 644 $$m $(MANDIR)/man$${m##*.}; done
uninstall:
	@rm -f $(TOOLS:$(BUILD)/bin/%=$(BINDIR)/%) $(SHIPPED:$(BUILD)/%=$(DESTDIR)$(PREFIX)/%) $(LIBDIR)/libego.* $(LIBDIR)/pkgconfig/ego.pc \
	    $(TOOLS:$(BUILD)/bin/%=$(DESTDIR)$(PREFIX)/share/bash-completion/completions/%) \
	    $(TOOLS:$(BUILD)/bin/%=$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_%)
	@rm -rf $(INCDIR); for m in man/*.[157]; do rm -f $(MANDIR)/man$${m##*.}/$${m##*/}; done

clean:
	@rm -rf build

-include $(shell find $(BUILD)/libcore $(BUILD)/tools $(BUILD)/tests -name '*.d' 2>/dev/null)

include weights/get.mk
include weights/small.mk
