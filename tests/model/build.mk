# The lock's protocol as a Promela model, checked in all orders (spin).
DEPS_TEST += spin
CHECKS += check-model
LINT_SH += tests/model/check.sh

.PHONY: check-model
check-model:
	@$(REPORT) model protocol=$(abspath tests/model/check.sh)
