# Rollback: kills at every system call, random kills of real programs, full disks.
#
#   make check-rollback       a few minutes      make torture TORTURE_SECONDS=3600    for hours
ROLLBACK_C := $(wildcard tests/rollback/src/*.c)
ROLLBACK_BUILT := $(ROLLBACK_C:tests/rollback/src/%.c=$(BUILD)/rollback/%)
TORTURE_SECONDS ?= 30

DEPS_TEST += python3 recutils
CHECKS += check-rollback
LINT_C += $(ROLLBACK_C)
LINT_SH += $(wildcard tests/rollback/*.sh)

.PHONY: check-rollback torture
check-rollback: all $(ROLLBACK_BUILT) $(E2E_BUILT)
	@$(REPORT) rollback limits=tests/rollback/limits.sh \
		'threads=python3 tests/rollback/threads.py $(BUILD) 40' \
		'every-call=python3 tests/rollback/every-call.py $(BUILD)' \
		'every-call-owners=SCOPES="session command" RECOVERY_EVERY=1000 \
			python3 tests/rollback/every-call.py $(BUILD) replace shared sessions family' \
		'torture=python3 tests/rollback/torture.py $(BUILD) $(TORTURE_SECONDS)'

torture: all $(ROLLBACK_BUILT)
	python3 tests/rollback/torture.py $(BUILD) $(TORTURE_SECONDS)
	SCOPE=command python3 tests/rollback/torture.py $(BUILD) $(TORTURE_SECONDS)

$(BUILD)/rollback/%: tests/rollback/src/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(HARDENED) $(BASE_LDFLAGS) -o $@ $< -pthread

# Ratios of rollback to report, by interleaved runs.
.PHONY: bench-rollback
bench-rollback: all $(BUILD)/bench/session $(E2E_BUILT)
	BUILD=$(BUILD) tests/rollback/cost.sh
