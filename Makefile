# Ego: first-person video, searchable by language.
#
#   make            build everything into build/
#   make demo       install what is missing, build, search a few synthetic videos
#   make test       install what is missing, build, run every test
#   make check      the floors of the house, headers alone, formatting
#   make asan tsan  the tests under sanitizers        make fuzz    every parser, FUZZ_SECONDS each
#   make bench      kernels and end to end            make install DESTDIR= PREFIX=/usr/local
#
# No configure step; objects depend on the headers they read and on the flags they were built with.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := all
ifeq (,$(findstring B,$(firstword -$(MAKEFLAGS))))
ifeq (,$(filter -j%,$(MAKEFLAGS)))
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif
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
WARN      := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wcast-qual -Wpointer-arith -Wno-format-truncation -Werror=implicit
CPPFLAGS  += -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -DEGO_VERSION='"$(VERSION)"' -Ilibcore
override CFLAGS += -std=c11 -fPIC -fvisibility=hidden -fno-math-errno -pthread $(WARN)
ifneq ($(SAN),)
override CFLAGS  += -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
override LDFLAGS += -fsanitize=$(SAN)
endif
LDFLAGS   += -pthread -Wl,--as-needed

PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS   = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm
ifeq ($(filter deps clean install-docs,$(MAKECMDGOALS)),)
PKG_CFLAGS := $(PKG_CFLAGS)
PKG_LIBS   := $(PKG_LIBS)
endif

# ---- what there is to build -------------------------------------------------------------------------
LIB_SRC   := $(shell find libcore -name '*.c' -not -path '*/cuda/*' -not -name 'kernels.c')
TOOL_SRC  := $(wildcard tools/ego-*.c)
TOOLS     := $(TOOL_SRC:tools/%.c=$(BUILD)/bin/%)
UNIT_SRC  := $(wildcard tests/unit/*.c) $(wildcard tests/golden/*.c)
UNITS     := $(UNIT_SRC:%.c=$(BUILD)/%)
BENCH_SRC := $(wildcard tests/bench/*.c)
BENCHES   := $(BENCH_SRC:%.c=$(BUILD)/%)
FUZZ_SRC  := $(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))

# The vector kernels are one source compiled once per instruction set and chosen at run time.
MACHINE   := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ISAS      := generic
ifeq ($(MACHINE),x86_64)
ISAS      += avx2 avx512
endif
ISA_FLAGS_generic :=
ISA_FLAGS_avx2    := -mavx2 -mfma -mf16c -DEGO_ISA=avx2
ISA_FLAGS_avx512  := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512 -DEGO_ISA=avx512
KERNEL_OBJ := $(ISAS:%=$(BUILD)/libcore/tensor/cpu/kernels-%.o)

LIB_OBJ   := $(LIB_SRC:%.c=$(BUILD)/%.o) $(KERNEL_OBJ)
CLI_OBJ   := $(BUILD)/tools/cli.o $(BUILD)/tools/engine.o

.PHONY: all lib tools units
all: lib tools $(BUILD)/libego.so.$(VERSION)
lib: $(BUILD)/libego.a
tools: $(TOOLS)
units: $(UNITS)

# Rebuild when the flags change, not only the sources.
FLAGS_NOW := $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(PKG_CFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$(FLAGS_NOW))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS_NOW))' > $@
.PHONY: FORCE
FORCE:

$(BUILD)/libcore/tensor/cpu/kernels-%.o: libcore/tensor/cpu/kernels.c $(BUILD)/flags
	@mkdir -p $(@D); echo "  CC  $< ($*)"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -O3 -ffp-contract=fast $(ISA_FLAGS_$*) -MMD -MP -c $< -o $@
$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D); echo "  CC  $<"
	@$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) $(if $(filter tests/%,$<),-Itests) -MMD -MP -c $< -o $@
$(BUILD)/libego.a: $(LIB_OBJ)
	@echo "  AR  $@"; rm -f $@; $(AR) rcs $@ $^
$(BUILD)/libego.so.$(VERSION): $(LIB_OBJ)
	@echo "  LD  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,libego.so.$(SOVERSION) $^ $(PKG_LIBS) -o $@
$(BUILD)/bin/%: $(BUILD)/tools/%.o $(CLI_OBJ) $(BUILD)/libego.a
	@mkdir -p $(@D); echo "  LD  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $(PKG_LIBS) -o $@
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libego.a
	@mkdir -p $(@D); echo "  LD  $@"
	@$(CC) $(CFLAGS) $(LDFLAGS) $^ $(PKG_LIBS) $(TEST_LIBS) -o $@
.SECONDARY:

-include $(shell find $(BUILD)/libcore $(BUILD)/tools $(BUILD)/tests -name '*.d' 2>/dev/null)
