# lockctl advise: the rules (cmocka), the real programs of tests/real, and scenes of its own.
#
#   make check-advise            the rules, the scenes, the required programs
#   make check-advise-breadth    the verdicts on the seventy others
DEPS_TEST += libcmocka-dev procps python3 util-linux

ADVISE_UNIT_SOURCES := $(wildcard tests/advise/test_*.c)
ADVISE_UNIT_TESTS := $(ADVISE_UNIT_SOURCES:%.c=$(BUILD)/%)
ADVISE_BUILT := $(BUILD)/advise/past $(BUILD)/advise/past-static

$(ADVISE_UNIT_TESTS:=.o): $(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<
$(ADVISE_UNIT_TESTS): $(BUILD)/tests/advise/%: $(BUILD)/tests/advise/%.o \
		$(filter-out %main.o,$(LOCKCTL_OBJECTS)) $(SHIM_SHARED_OBJECTS)
	$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LOCKCTL_LIBS) -lcmocka
-include $(ADVISE_UNIT_TESTS:=.d)

$(BUILD)/advise/past: tests/advise/src/past.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) -o $@ $<
$(BUILD)/advise/past-static: tests/advise/src/past.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -fsanitize=%,$(BASE_CFLAGS)) -static -o $@ $<

.PHONY: check-advise check-advise-breadth
CHECKS += check-advise
check-advise: all $(ADVISE_UNIT_TESTS) $(ADVISE_BUILT) $(REAL_BUILT)
	@$(REPORT) advise $(foreach unit,$(ADVISE_UNIT_TESTS),$(notdir $(unit))=$(unit)) \
		scenes=tests/advise/scenes.sh 'terminal=tests/advise/terminal.py $(BUILD)/lockctl' \
		'real=tests/advise/real.sh required'
check-advise-breadth: all $(REAL_BUILT)
	@$(REPORT) advise 'breadth=tests/advise/real.sh breadth'

LINT_C += $(ADVISE_UNIT_SOURCES) tests/advise/src/past.c
LINT_SH += $(wildcard tests/advise/*.sh)
