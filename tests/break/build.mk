# Breaking locks: every verdict, every way to the table, races, forged registries.
#
#   make check-break                     BREAKS=1000 SCENE_RACES=100 make check-break: more races
BREAKS ?= 120
BREAK_BUILT := $(BUILD)/break/writer $(BUILD)/break/writer-static $(BUILD)/break/layout \
	$(BUILD)/break/ends $(BUILD)/e2e/act

DEPS_TEST += procps python3 strace util-linux mount
CHECKS += check-break
LINT_C += $(wildcard tests/break/src/*.c)
LINT_SH += $(wildcard tests/break/*.sh)

.PHONY: check-break
check-break: export BREAKS := $(BREAKS)
check-break: all $(BREAK_BUILT)
	@$(REPORT) break $(foreach test,$(wildcard tests/break/*.sh tests/break/*.py), \
		$(notdir $(basename $(test)))=$(abspath $(test)))

$(BUILD)/break/%: tests/break/src/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(BASE_LDFLAGS) -o $@ $< -pthread

$(BUILD)/break/writer-static: tests/break/src/writer.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize=%,$(BASE_CFLAGS)) -static -o $@ $< -pthread
