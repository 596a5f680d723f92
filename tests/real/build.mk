# Tests on real, unmodified programs, and the demonstration.
#
#   make check-real         the required ones    ROUNDS=2 make check-real    in a hurry
#   make check-breadth      seventy more, of which each needs a Debian package of its own
#   make check-real REAL='recins zip'            some of them
REAL ?= required
REAL_C := tests/real/src/threads.c tests/real/src/counter.c
REAL_BUILT := $(BUILD)/real/threads $(BUILD)/real/counter-static $(BUILD)/real/counter-go \
	$(BUILD)/real/counter-cgo $(BUILD)/npm/installed

DEPS_TEST += recutils python3 python3-tinydb perl nodejs npm openssl zip unzip binutils jq \
	moreutils findutils sed golang-go util-linux bsdutils procps
DEPS_BREADTH := abook apache2-utils arj aspell aspell-en augeas-tools bash-static bibtool bsd-mailx \
	calcurse cpio crudini db5.3-util devtodo e2fsprogs ed flac gawk gdbmtool gettext git \
	gnupg guile-3.0 libconfig-inifiles-perl libxml2-utils lmdb-utils lua5.4 miller \
	mtools musl-tools newlisp nmh nvi openssh-client p7zip-full pass patch php-cli rcs \
	regina-rexx rrdtool ruby sqlite3 squashfs-tools swi-prolog-nox tar taskwarrior tcl \
	tdb-tools timewarrior tinycdb todotxt-cli tokyocabinet-bin universal-ctags vim \
	xmlstarlet yq

CHECKS += check-real
LINT_C += $(REAL_C)
LINT_SH += tests/real/run.sh tests/real/demo.sh tests/demo.sh tests/check.sh \
	$(wildcard tests/real/required/*.sh tests/real/breadth/*.sh)

# A name, or a folder of them.
real_names = $(foreach name,$(1),$(or $(notdir $(basename $(wildcard tests/real/$(name)/*.sh))),$(name)))
report_real = $(REPORT) real $(foreach name,$(call real_names,$(1)),'$(name)=bash tests/real/run.sh $(name)')
.PHONY: check-real check-breadth demo
check-real: all $(REAL_BUILT)
	@$(call report_real,$(REAL))

check-breadth: all $(REAL_BUILT)
	sh tests/install-deps.sh $(DEPS_BREADTH)
	@$(call report_real,breadth)

demo: all
	BUILD=$(BUILD) bash tests/real/demo.sh

$(BUILD)/real:
	mkdir -p $@

$(BUILD)/real/threads: tests/real/src/threads.c | $(BUILD)/real
	$(CC) $(BASE_CFLAGS) $(HARDENED) $(BASE_LDFLAGS) -o $@ $< -pthread

$(BUILD)/real/counter-static: tests/real/src/counter.c | $(BUILD)/real
	$(CC) $(filter-out -fsanitize=%,$(BASE_CFLAGS)) -static -o $@ $<

# What comes by another language's tools is skipped, and told, where these are missing or fail; npm
# waits for ten minutes where there is no network.
GO_BUILD = GOCACHE=$(abspath $(BUILD))/real/go-cache GO111MODULE=off go build -o $@ $<
$(BUILD)/real/counter-go: tests/real/src/counter.go | $(BUILD)/real
	CGO_ENABLED=0 $(GO_BUILD) || echo 'counter-go: not built'
$(BUILD)/real/counter-cgo: tests/real/src/counter-cgo.go | $(BUILD)/real
	CGO_ENABLED=1 $(GO_BUILD) || echo 'counter-cgo: not built'

$(BUILD)/npm/installed: tests/real/npm/package.json
	mkdir -p $(@D) && cp $< $(@D)
	timeout 90 npm install --prefix $(@D) --no-package-lock --no-audit --no-fund --ignore-scripts --silent \
		</dev/null && touch $@ || echo 'npm: packages not installed'
