# Tests of what leaves the source tree: installation, completions, Debian packages.
DEPS_TEST += bash git pkg-config python3 util-linux zsh

CHECKS += check-install check-completions
LINT_SH += $(wildcard tests/packaging/*.sh)

.PHONY: check-completions
check-completions: $(BUILD)/lockctl $(BUILD)/tablestore
	BUILD=$(BUILD) tests/packaging/completions.sh

.PHONY: check-install
check-install: all
	MAKE='$(MAKE)' BUILD=$(BUILD) CC=$(CC) tests/packaging/install.sh

# The Debian packages, into a fresh Debian of their own: minutes, and a mirror.
.PHONY: check-packages
check-packages: deb
	BUILD=$(BUILD) tests/packaging/debian.sh
