# SPDX-License-Identifier: MIT
# Every target is one line: build the helpers, run the script of the same name. What a target takes, with defaults,
# stands in scripts/options.tsv; `make help` prints it.
-include config.mk
export $(shell sed -n 's/^\([A-Z_]*\)\t.*/\1/p' scripts/options.tsv)

CC ?= cc
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# Warnings are errors in `make check` and in CI (WERROR=1), not on a user's own compiler.
CFLAGS ?= -O2 -g
override CFLAGS += -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wconversion -Wimplicit-fallthrough \
	$(if $(WERROR),-Werror) $(if $(SAN),$(SAN_FLAGS))
override CPPFLAGS += -Ihelpers/lib
BUILD ?= build$(if $(SAN),/san)

LIB_SRC := $(wildcard helpers/lib/*.c)
LIB_OBJ := $(LIB_SRC:helpers/%.c=$(BUILD)/obj/%.o)
# A helper is one .c file, or a folder of its own name where it outgrew one.
TOOLS := $(patsubst helpers/%.c,%,$(wildcard helpers/*.c)) \
	$(filter-out lib,$(patsubst helpers/%/main.c,%,$(wildcard helpers/*/main.c)))
# Two helpers need libraries that a machine may not have; `make metrics` and `make export` install them.
ZLIB := $(wildcard /usr/include/zlib.h)
PROTOC := $(and $(wildcard /usr/include/protobuf-c/protobuf-c.h),$(shell command -v protoc-c))
LEFT_OUT := $(strip $(if $(and $(wildcard /usr/include/microhttpd.h),$(ZLIB)),,loader_exporter) \
	$(if $(and $(PROTOC),$(ZLIB)),,stackexport))
BINS := $(patsubst %,$(BUILD)/bin/%,$(filter-out $(LEFT_OUT),$(TOOLS)))
SCRIPTS := $(filter-out lib plots shim standin env %.map %.tsv,$(notdir $(wildcard scripts/*)))

LDLIBS_flamegraph := -lm
LDLIBS_loader_exporter := -lmicrohttpd -lz -lcrypt
LDLIBS_stackexport := -lz -lprotobuf-c
LDLIBS_stackfold := -ldl

Q := $(if $(V),,@)
MAKEFLAGS += --no-print-directory --no-builtin-rules
.SUFFIXES:
# Object files are kept: the next build needs them.
.SECONDARY:
# A compiler that is killed leaves half a file with a new date; without this make would take it for done.
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: helpers clean test-helpers test-full $(SCRIPTS)
.SECONDEXPANSION:

helpers: $(BINS)
	$(if $(LEFT_OUT),$(Q)echo 'helpers: left out for want of libraries: $(LEFT_OUT) (make metrics and make export install them)')

# Targets of the same name as a script, all alike. A script that needs the helpers builds them itself, after it has
# installed the compiler where there was none. It is told to end when make is killed.
TIED := setpriv --pdeathsig TERM
$(SCRIPTS):
	$(Q)$(TIED) scripts/$@
test-helpers:
	$(Q)SUITE=helpers $(TIED) scripts/test
test-full:
	$(Q)SUITE=full $(TIED) scripts/test
clean:
	$(Q)rm -rf build
# What the scripts ask for: up to date, for make -q, when all is built that can be here.
.PHONY: built
built: $(BINS)

$(BUILD)/obj/%.o: helpers/%.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
# Text that a helper carries inside (.incbin, which -MMD does not see).
$(BUILD)/obj/flamegraph/text.o: $(wildcard helpers/flamegraph/*.css helpers/flamegraph/*.js)
# pprof's messages: code that protobuf-c makes. Its newer versions warn that protoc, of another package, is to be called instead.
$(BUILD)/gen/profile.pb-c.c: helpers/stackexport/profile.proto
	$(Q)mkdir -p $(@D)
	$(Q)words=$$(protoc-c --c_out=$(@D) --proto_path=$(<D) $< 2>&1) || { echo "$$words" >&2; exit 1; }
$(BUILD)/gen/profile.pb-c.o: $(BUILD)/gen/profile.pb-c.c
	$(Q)$(CC) $(CFLAGS) -w -c -o $@ $<
$(BUILD)/obj/stackexport/pprof.o: $(BUILD)/gen/profile.pb-c.c
$(BUILD)/obj/stackexport/pprof.o: override CPPFLAGS += -I$(BUILD)/gen
$(BUILD)/bin/stackexport: $(BUILD)/gen/profile.pb-c.o
# Kept up to date by rebuilding it whole: `ar r` would keep the members of deleted sources.
$(BUILD)/libhelpers.a: $(LIB_OBJ)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^
$(BUILD)/bin/%: $$(patsubst helpers/$$(percent).c,$(BUILD)/obj/$$(percent).o,$$(wildcard helpers/$$*.c helpers/$$*/*.c)) $(BUILD)/libhelpers.a
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS_$*) -lm
percent := %

-include $(LIB_OBJ:.o=.d) $(wildcard $(BUILD)/obj/*.d $(BUILD)/obj/*/*.d)
