# Unit tests (cmocka) of what is behind the interposed calls: every test_*.c is one program, linked
# with all of the shim's objects that interpose nothing.
DEPS_TEST += libcmocka-dev gcc musl-tools

UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_TESTS := $(UNIT_SOURCES:%.c=$(BUILD)/%)
UNIT_SHIM_OBJECTS := $(SHIM_SHARED_OBJECTS) \
	$(patsubst %,$(BUILD)/obj/shim/%.o,tables tables_set_up descriptors mappings lost_update content_sum)

$(UNIT_TESTS:=.o): $(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(UNIT_TESTS): $(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(UNIT_SHIM_OBJECTS)
	$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka -lpthread
-include $(UNIT_TESTS:=.d)

.PHONY: check-unit
CHECKS += check-unit
check-unit: $(UNIT_TESTS)
	@$(REPORT) unit $(foreach unit,$(UNIT_TESTS),$(notdir $(unit))=$(unit))

LINT_C += $(UNIT_SOURCES) $(wildcard tests/unit/*.h)
