# Which lines and branches the tests come to: a table by folder, and build/coverage/index.html.
#
#   make coverage                           after the checks named here
#   make coverage COVERED='check-unit check-e2e'
#
# The library counts inside the programs that it is preloaded into, and adds what it counted to the
# files beside its objects when they end. Programs that are killed, or end by _exit, lose theirs.
COVERAGE := $(BUILD)/coverage
COVERED ?= check-unit check-store check-registry-tools check-inspect check-e2e check-break
DEPS_COVERAGE := gcovr python3

LINT_SH += tests/coverage.sh
.PHONY: coverage
coverage:
	sh tests/install-deps.sh $(DEPS_COVERAGE)
	MAKE='$(MAKE)' BUILD=$(COVERAGE) sh tests/coverage.sh $(COVERED)
