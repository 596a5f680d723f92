# Tests of the store: units (cmocka), random operations against a model, a process killed at every
# write, the sample tables of the original, the tool, fifty processes at once, and a short fuzz run.
DEPS_TEST += libcmocka-dev python3 clang libclang-rt-14-dev jq util-linux

STORE_TEST_SUPPORT := $(BUILD)/tests/store/support.o
STORE_UNITS := $(patsubst tests/store/%.c,$(BUILD)/tests/store/%,$(wildcard tests/store/test_*.c))
STORE_TEST_OBJECTS := $(STORE_UNITS:=.o) $(STORE_TEST_SUPPORT)

$(STORE_TEST_OBJECTS): $(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(STORE_CFLAGS) -MMD -MP -c -o $@ $<
-include $(STORE_TEST_OBJECTS:.o=.d)

$(STORE_UNITS): $(BUILD)/tests/store/%: $(BUILD)/tests/store/%.o $(STORE_TEST_SUPPORT) $(BUILD)/libtablestore.a
	$(CC) $(BASE_LDFLAGS) $(STORE_TEST_WRAPS) -o $@ $^ -lcmocka $(STORE_LIBS)

.PHONY: check-store check-store-quick check-store-units
CHECKS += check-store
check-store: check-store-quick

check-store-quick: check-store-units
check-store-units: $(STORE_UNITS)
	@set -e; for unit in $(STORE_UNITS); do echo "$$unit"; $$unit; done

LINT_C += $(wildcard tests/store/*.[ch])
