# End-to-end tests of the shim and of lockctl, and chaos.
#
#   make check-e2e          all of them      make check-e2e E2E=tests/e2e/deadlock.sh    some
E2E ?= $(filter-out %common.sh,$(wildcard tests/e2e/*.sh tests/chaos/*.sh))
E2E_C := $(wildcard tests/e2e/src/*.c)
E2E_BUILT := $(E2E_C:tests/e2e/src/%.c=$(BUILD)/e2e/%) $(BUILD)/e2e/act-static

DEPS_TEST += bash coreutils findutils gawk libpython3-testsuite make perl procps python3 util-linux
CHECKS += check-e2e
LINT_C += $(E2E_C)
LINT_SH += $(wildcard tests/e2e/*.sh tests/chaos/*.sh)

e2e_name = $(if $(filter tests/chaos/%,$(test)),chaos-)$(notdir $(basename $(test)))
.PHONY: check-e2e
check-e2e: all $(E2E_BUILT)
	@$(REPORT) e2e $(foreach test,$(E2E),$(e2e_name)=$(abspath $(test)))

$(BUILD)/e2e/%: tests/e2e/src/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(HARDENED) $(BASE_LDFLAGS) -o $@ $< -pthread

$(BUILD)/e2e/act-static: tests/e2e/src/act.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize=%,$(BASE_CFLAGS)) -static -o $@ $< -pthread
