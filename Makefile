# cgost: `make` builds build/cgost; `make help` lists the rest.
# V=1 shows commands; ASAN=1 and FUZZ=1 select a variant (build/asan, build/fuzz); CC, CFLAGS, LDFLAGS, LTO=1,
# WERROR=1, HOGWEED=0, DEPS_CACHE, DEPS_MIRROR, DESTDIR, PREFIX as one expects.

FOLDERS := app handlers chain listeners listeners/tungo dialers connectors sniff bypass configs \
	core core/wire core/floor core/floor/ws core/host
SRC := $(foreach d,$(FOLDERS),$(sort $(wildcard $d/*.c)))
UNIT := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
HELPERS := $(filter-out $(wildcard tests/unit/test_*.c),$(wildcard tests/unit/*.c))

# ---- variant -----------------------------------------------------------------------------------------------------

CFLAGS ?= -O2 -g
D := build/deps
SANITIZE := address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
ifdef FUZZ
B := build/fuzz
CC := clang
HARDEN := -O1 -fsanitize=fuzzer-no-link,$(SANITIZE)
LINK := -fsanitize=$(SANITIZE)
else ifdef ASAN
B := build/asan
HARDEN := -O1 -fsanitize=$(SANITIZE)
LINK := -fsanitize=$(SANITIZE)
else
B := build
HARDEN := -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
LINK := -Wl,--gc-sections
endif

# ---- flags -------------------------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wundef -Wvla -Wwrite-strings -Wcast-qual -Wpointer-arith -Wformat=2 -Wimplicit-fallthrough
ifeq ($(findstring clang,$(shell $(CC) --version 2>/dev/null)),)
WARN += -Wlogical-op -Wduplicated-cond -Wduplicated-branches
WARN_RELEASE := -Wnull-dereference # gcc sees ghosts in instrumented code
else
WARN += -Wnull-dereference
endif
WARN += $(if $(ASAN)$(FUZZ),,$(WARN_RELEASE)) $(if $(WERROR),-Werror)
ifdef LTO
HARDEN += -flto=auto
AR := gcc-ar
endif

PKG_CONFIG ?= pkg-config
PKGS := libuv yaml-0.1 libcares jansson
HOGWEED ?= auto
ifeq ($(HOGWEED),auto)
HOGWEED := $(shell $(PKG_CONFIG) --exists hogweed gmp 2>/dev/null && echo 1 || echo 0)
endif
ifneq ($(HOGWEED),1)
SRC := $(filter-out core/floor/ecp_fast.c,$(SRC))
UNIT := $(filter-out test_ecp_fast,$(UNIT))
endif
export CC HOGWEED PKG_CONFIG V

CPPFLAGS += -D_GNU_SOURCE -I. -isystem $(D)/include '-DMBEDTLS_USER_CONFIG_FILE=<mbedtls_user.h>'
COMPILE = $(CC) -std=c11 $(CPPFLAGS) $(WARN) $(CFLAGS) $(HARDEN) -fPIE -MMD -MP
LIBS = -Wl,--start-group $(B)/libcgost.a $(D)/lib/libwebsockets.a $(D)/lib/libmbedtls.a $(D)/lib/liblwip.a \
	-Wl,--end-group $(shell $(PKG_CONFIG) --libs $(PKGS) $(if $(filter 1,$(HOGWEED)),hogweed nettle gmp)) -lm -lpthread
LINK += $(CFLAGS) $(filter -flto%,$(HARDEN)) -pie -Wl,-z,relro,-z,now $(LDFLAGS)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s%s\n' $(1) $(2))

# ---- what is built -----------------------------------------------------------------------------------------------

OBJ := $(patsubst %.c,$(B)/obj/%.o,$(filter-out app/main.c,$(SRC)))
.DELETE_ON_ERROR:
.SECONDARY:

all: $(if $(wildcard app/main.c),$(B)/cgost,$(B)/libcgost.a) ## build/cgost

$(B)/cgost: $(B)/obj/app/main.o $(B)/libcgost.a $(D)/stamp
	$(call say,LINK,$@)
	$(Q)$(CC) $(LINK) -o $@ $< $(LIBS)

$(B)/libcgost.a: $(OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) crs $@ $^

# the block receiver of the ws floor is compiled like a source of LWS
LWS_BULK := -DLWS_OS_RENAME -include core/floor/ws/lws_os.h \
	$(addprefix -isystem $(D)/src/websockets/lib/,$(shell cat deps/lws/dirs.txt))
$(B)/obj/core/floor/ws/lws_bulk.o: CPPFLAGS += $(LWS_BULK)

# what mbedTLS lacks is done with its own parts
$(B)/obj/core/floor/tls_rekey.o: CPPFLAGS += -isystem $(D)/src/mbedtls/library

$(B)/obj/%.o: %.c $(B)/flags $(D)/stamp
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

$(B)/flags: FORCE
	@$(PKG_CONFIG) --exists $(PKGS) || { echo "make: of $(PKGS) the -dev packages are missing; ./run build installs them" >&2; exit 1; }
	@$(shell mkdir -p $(@D))$(file >$@.new,$(COMPILE) $(LIBS) $(LINK))cmp -s $@.new $@ && rm $@.new || mv $@.new $@

deps: $(D)/stamp ## third-party libraries in build/deps
$(D)/stamp: FORCE
	$(Q)deps/build.sh $(D)

# ---- tests -------------------------------------------------------------------------------------------------------

# the differential twin of core/wire/http1; without it nothing is compared
TWIN := $(if $(wildcard /usr/include/http_parser.h),-DHAVE_HTTP_PARSER -lhttp_parser)

$(B)/tests/%: tests/unit/%.c $(HELPERS) $(B)/libcgost.a $(B)/flags $(D)/stamp
	$(call say,TEST,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -Wno-pedantic $(LINK) -o $@ $< $(HELPERS) $(LIBS) $(shell $(PKG_CONFIG) --libs check) $(TWIN)

$(B)/fuzz_%: tests/fuzz/fuzz_%.c $(B)/libcgost.a $(B)/flags $(D)/stamp
	$(call say,FUZZER,$<)
	$(Q)$(COMPILE) $(LINK) -fsanitize=fuzzer -o $@ $< $(LIBS) $(TWIN)

# small programs for the end-to-end tests
TOOLS := $(patsubst tests/tools/%.c,$(B)/tools/%,$(filter-out %/quickclock.c,$(sort $(wildcard tests/tools/*.c))))
$(B)/tools/%: tests/tools/%.c $(B)/libcgost.a $(B)/flags $(D)/stamp
	$(call say,TOOL,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(LINK) -o $@ $< $(LIBS)

# goes under other programs (LD_PRELOAD), sanitized or not
$(B)/tools/quickclock.so: tests/tools/quickclock.c
	$(call say,TOOL,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -Wall -Wextra -O2 -fPIC -shared -o $@ $<

tools: $(TOOLS) $(B)/tools/quickclock.so ## programs of tests/tools

unit: $(UNIT:%=$(B)/tests/%) ## unit tests (ASAN=1: instrumented)
	$(Q)sh tests/unit.sh $^

asan: ## build/asan/cgost with AddressSanitizer and UBSan
	$(Q)$(MAKE) --no-print-directory ASAN=1 all

fuzz: ## every fuzz target for FUZZ_SECONDS (30)
ifdef FUZZ
fuzz: $(FUZZERS:%=$(B)/%)
else
	$(Q)$(MAKE) --no-print-directory FUZZ=1 $(FUZZERS:%=build/fuzz/%)
	$(Q)sh tests/fuzz.sh $(FUZZERS:%=build/fuzz/%)
endif

e2e: all tools ## end-to-end tests in network namespaces (root)
	$(Q)CGOST=$(abspath $(B)/cgost) sh tests/e2e.sh

check: ## everything a change must pass; CHECK_PARTS="unit fuzz" for some of it
	$(Q)sh tests/check.sh

demo: all ## tungo to relay+wss in namespaces, shown
	$(Q)CGOST=$(abspath $(B)/cgost) sh tests/e2e/demo.sh $(URL)

bench: all tools ## speed and memory readings, printed (root)
	$(Q)CGOST=$(abspath $(B)/cgost) sh tests/bench/readings.sh

bench-gateway: all tools ## a LAN client behind a router, on links that lose (root)
	$(Q)CGOST=$(abspath $(B)/cgost) sh tests/bench/gateway.sh

bench-rules: $(B)/tools/rulesbench ## a million rules: time to load, memory, time of a match
	$(Q)$<

CLANG_FORMAT ?= $(firstword $(shell command -v clang-format-14 clang-format))
format-check: ## clang-format 14 has nothing to say
	$(Q)$(CLANG_FORMAT) --version | grep -q 'version 14\.' || { echo "format-check needs clang-format 14" >&2; exit 1; }
	$(Q)$(CLANG_FORMAT) --dry-run -Werror $(SRC) $(wildcard $(addsuffix /*.h,$(FOLDERS)) include/*.h tests/*/*.[ch])

# ---- the rest ----------------------------------------------------------------------------------------------------

PREFIX ?= /usr/local
install: all ## into DESTDIR/PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(B)/cgost $(DESTDIR)$(PREFIX)/bin/cgost

clean: ## all but build/deps (the third-party libraries)
	$(Q)[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} +

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 15

FORCE:
.PHONY: all bench bench-gateway bench-rules deps unit asan fuzz e2e check demo format-check install clean help tools FORCE

-include $(patsubst %.c,$(B)/obj/%.d,$(SRC)) $(UNIT:%=$(B)/tests/%.d) $(FUZZERS:%=$(B)/%.d) $(TOOLS:%=%.d)
