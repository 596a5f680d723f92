# Tests of lockctl top: its screen in a terminal of tmux's, its plain tables. The bench tells what
# it costs those who work on a table meanwhile.
#
#   make check-top    all of them; TOP=tests/top/screen.sh: some      make bench-top
TOP ?= $(filter-out %/common.sh %/bench.sh,$(wildcard tests/top/*.sh))

DEPS_TEST += bash coreutils procps tmux util-linux
CHECKS += check-top
LINT_SH += $(wildcard tests/top/*.sh)

.PHONY: check-top bench-top
check-top: all $(E2E_BUILT)
	@$(REPORT) top $(foreach test,$(TOP),$(notdir $(basename $(test)))=$(abspath $(test)))

bench-top: all $(E2E_BUILT)
	BUILD=$(BUILD) bash tests/top/bench.sh
