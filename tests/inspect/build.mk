# lockctl's inspection: parsers and rules (cmocka), and every verdict, column and key of JSON against
# exact states of real processes.
#
#   make check-inspect     all of it; INSPECT=tests/inspect/verdicts.py: some
#   make bench-inspect     what a look costs beside lslocks: for a quiet machine
DEPS_TEST += bsdutils libcmocka-dev python3 python3-jsonschema util-linux

INSPECT ?= $(addprefix tests/inspect/,verdicts.py rings.py looks.py)
INSPECT_UNIT_SOURCES := $(wildcard tests/inspect/test_*.c)
INSPECT_UNIT_TESTS := $(INSPECT_UNIT_SOURCES:%.c=$(BUILD)/%)

$(INSPECT_UNIT_TESTS:=.o): $(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(INSPECT_UNIT_TESTS): $(BUILD)/tests/inspect/%: $(BUILD)/tests/inspect/%.o \
		$(filter-out %main.o,$(LOCKCTL_OBJECTS)) $(SHIM_SHARED_OBJECTS)
	$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LOCKCTL_LIBS) -lcmocka
-include $(INSPECT_UNIT_TESTS:=.d)

$(BUILD)/inspect/state: tests/inspect/src/state.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(BASE_LDFLAGS) -o $@ $< -pthread

.PHONY: check-inspect
CHECKS += check-inspect
check-inspect: all $(INSPECT_UNIT_TESTS) $(BUILD)/inspect/state $(BUILD)/e2e/act
	@$(REPORT) inspect $(foreach unit,$(INSPECT_UNIT_TESTS),$(notdir $(unit))=$(unit)) \
		$(foreach test,$(INSPECT),$(notdir $(basename $(test)))=$(abspath $(test)))

.PHONY: bench-inspect
bench-inspect: all $(BUILD)/inspect/state
	BUILD=$(BUILD) tests/inspect/cost.py

LINT_C += $(INSPECT_UNIT_SOURCES) tests/inspect/src/state.c
