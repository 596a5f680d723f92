# What lockctl makes of registries: unit tests (cmocka) of reading and formatting, and every command
# that reads them against states made by real guarded processes.
#
#   make check-registry-tools    all of them; REGISTRY_TOOLS=tests/registry-tools/log.sh: some
DEPS_TEST += libcmocka-dev python3 python3-jsonschema prometheus

REGISTRY_TOOLS ?= $(filter-out %/common.sh,$(wildcard tests/registry-tools/*.sh))
REGISTRY_UNIT_SOURCES := $(wildcard tests/registry-tools/test_*.c)
REGISTRY_UNIT_TESTS := $(REGISTRY_UNIT_SOURCES:%.c=$(BUILD)/%)

$(REGISTRY_UNIT_TESTS:=.o): $(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(REGISTRY_UNIT_TESTS): $(BUILD)/tests/registry-tools/%: $(BUILD)/tests/registry-tools/%.o \
		$(filter-out %main.o,$(LOCKCTL_OBJECTS)) $(SHIM_SHARED_OBJECTS)
	$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LOCKCTL_LIBS) -lcmocka
-include $(REGISTRY_UNIT_TESTS:=.d)

.PHONY: check-registry-tools
CHECKS += check-registry-tools
check-registry-tools: all $(REGISTRY_UNIT_TESTS) $(E2E_BUILT)
	@$(REPORT) registry-tools $(foreach unit,$(REGISTRY_UNIT_TESTS),$(notdir $(unit))=$(unit)) \
		$(foreach test,$(REGISTRY_TOOLS),$(notdir $(basename $(test)))=$(abspath $(test)))

LINT_C += $(REGISTRY_UNIT_SOURCES)
LINT_SH += $(wildcard tests/registry-tools/*.sh)
