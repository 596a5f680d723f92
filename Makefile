# lockshim: the shim (shim/), lockctl (lockctl/) and tablestore (store/), with their tests.
#
#   make            build/liblockshim.so, build/lockctl, build/tablestore
#   make deps       install the Debian packages that building and testing need (root or sudo)
#   make check      all tests          make demo    what it is for, in under a minute
#   make bench      what it costs      make lint    formatting and static analysis
#   make coverage   which lines and branches the tests come to     make pictures   of the README
#   make check-breadth   seventy real programs more
#   make install    DESTDIR= PREFIX=   make uninstall     make clean
#   make dist       build/lockshim-VERSION.tar.gz of the last commit     make deb   its Debian packages
#
# Each folder adds its own rules in its build.mk; a second build lives beside the first:
#   make BUILD=build/asan SANITIZE=address
# What is compiled is not told, unless by `make V=1`.
ifneq ($(V),1)
.SILENT:
endif
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

VERSION := 0.1.0
BUILD ?= build
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
SHIMDIR ?= $(LIBDIR)
SHIMSETDIR ?= $(LIBDIR)/lockshim
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/lockshim
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
OPTIMIZE ?= -O2 -g
SANITIZE ?=
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
BASE_CFLAGS := -std=gnu11 $(OPTIMIZE) $(WARNINGS) -D_GNU_SOURCE -DLOCKSHIM_VERSION='"$(VERSION)"' -I. \
	-ffile-prefix-map=$(CURDIR)=. \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)
BASE_LDFLAGS := -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE))
# What is no preload is hardened; the shim itself is built plain (shim/build.mk says why).
HARDENED := -fstack-protector-strong $(if $(SANITIZE),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)

DEPS_BUILD := gcc libc6-dev make pkg-config
DEPS_TEST :=
DEPS_LINT := clang clang-format clang-tidy codespell cppcheck mandoc shellcheck
CHECKS :=
LINT_C :=
LINT_SH :=
INSTALLS :=

.PHONY: all
all:

include shim/build.mk lockctl/build.mk store/build.mk man/build.mk completions/build.mk debian/build.mk doc/build.mk tests/build.mk

# What runs the checks: a line for each, its log in build/check/, and on the terminal what is wrong.
REPORT = BUILD=$(BUILD) sh tests/report.sh
LINT_SH += tests/report.sh
.PHONY: deps check demo bench bench-quick install uninstall lint clean
deps:
	sh tests/install-deps.sh $(DEPS_BUILD) $(DEPS_TEST) $(DEPS_LINT)

# All of them run, whichever fails; what failed is told at once and, in short, at the very end.
check:
	@$(MAKE) -s --no-print-directory all
	@$(REPORT) --start
	@failed=; for check in $(sort $(CHECKS)); do \
		$(MAKE) -s --no-print-directory $$check || failed="$$failed $$check"; done; \
	$(REPORT) --recap; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi
	@echo "all checks passed"

# Programs find libtablestore by the loader's cache; a staged tree has none.
install: $(INSTALLS)
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig

# Whatever install would put there; so the two can't differ.
uninstall:
	@staged=$$(mktemp -d) && trap 'rm -rf "$$staged"' EXIT && \
	$(MAKE) --no-print-directory -s install DESTDIR="$$staged" && \
	(cd "$$staged" && find . ! -type d -print0) | (cd "$(DESTDIR)/" && xargs -0 rm -fv) && \
	(cd "$$staged" && find . -depth -type d -path '*lockshim*' -print0) | \
		(cd "$(DESTDIR)/" && xargs -0r rmdir --ignore-fail-on-non-empty 2>/dev/null || :)

# As a check it is told by a line for each, and its log.
CHECKS += check-lint
.PHONY: check-lint
check-lint:
	@$(REPORT) lint $(foreach lint,format tidy cppcheck shell manual spelling,\
		$(lint)='$(MAKE) -s BUILD=$(BUILD) lint-$(lint)')

lint: lint-format lint-tidy lint-cppcheck lint-shell lint-manual lint-spelling
.PHONY: lint-format lint-tidy lint-cppcheck lint-shell lint-manual lint-spelling
lint-format:
	clang-format --dry-run -Werror $(sort $(LINT_C))
# All files by the flags of those that need most; a file of flags needs no quoting. The store includes
# libbsd by name, which the overlay's headers don't take.
LINT_CFLAGS = $(filter-out -I.,$(BASE_CFLAGS)) $(shell pkg-config --cflags inih ncursesw smartcols $(1)) \
	-I'$(CURDIR)' -DLIBDIR='"/"' -DSHIMSETDIR='"/"' -DTABLESTORE_VERSION='"0"'
LINT_STORE_C = $(filter store/% tests/store/%,$(sort $(filter %.c,$(LINT_C))))
lint-tidy:
	@mkdir -p $(BUILD)/lint/store
	@printf '%s\n' $(call LINT_CFLAGS,libbsd-overlay) >$(BUILD)/lint/compile_flags.txt
	@printf '%s\n' $(call LINT_CFLAGS,libbsd) >$(BUILD)/lint/store/compile_flags.txt
	{ printf '$(BUILD)/lint/store %s\n' $(LINT_STORE_C); \
	  printf '$(BUILD)/lint %s\n' $(filter-out $(LINT_STORE_C),$(sort $(filter %.c,$(LINT_C)))); } | \
		xargs -P$$(nproc) -L1 sh -c 'clang-tidy -p "$$1" --quiet "$$2" 2>/dev/null' tidy
lint-cppcheck:
	cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppressions-list=tests/cppcheck-suppressions --error-exitcode=1 -I. -D_GNU_SOURCE \
		-D__linux__ -D__x86_64__ '-DElfW(type)=Elf64_##type' -DLOCKSHIM_VERSION='"x"' $(sort $(filter %.c,$(LINT_C)))
lint-shell:
	shellcheck $(sort $(LINT_SH))
# Whether the pages that it refers to are installed on this machine is no matter of the page.
lint-manual:
	@! mandoc -Tlint -Wstyle $(MANUALS) 2>&1 | grep -v -e 'referenced manual not found' -e 'outdated mandoc.db'
# Left out are a macro of the manual's and words that tests cut up or spell wrong. Sample tables are data.
lint-spelling:
	codespell --ignore-words-list=nd,sesion,te $$(git ls-files ':!tests/store/tables')

clean:
	rm -rf $(BUILD)
