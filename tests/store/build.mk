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
	$(CC) $(BASE_LDFLAGS) $(LDFLAGS) $(STORE_TEST_WRAPS) -o $@ $^ -lcmocka $(STORE_LIBS)

$(BUILD)/tests/store/test_crash: STORE_TEST_WRAPS := -Wl,--wrap=pwrite,--wrap=renameat,--wrap=unlinkat
$(BUILD)/tests/store/test_cost: STORE_TEST_WRAPS := -Wl,--wrap=pwrite,--wrap=pread

.PHONY: check-store check-store-quick check-store-units
CHECKS += check-store
check-store: check-store-quick

check-store-quick: check-store-units check-store-samples check-store-tool check-store-processes
check-store-units: $(STORE_UNITS)
	@$(REPORT) store $(foreach unit,$(STORE_UNITS),$(notdir $(unit))=$(unit))

.PHONY: check-store-samples check-store-tool check-store-processes
check-store-samples check-store-tool check-store-processes: check-store-%: $(BUILD)/tablestore
	@$(REPORT) store $*=tests/store/$*.sh
# The part under lockctl; without these two it would be skipped.
check-store-processes: $(BUILD)/lockctl $(BUILD)/liblockshim.so

LINT_SH += $(wildcard tests/store/*.sh)
LINT_C += $(wildcard tests/store/*.[ch])

# The fuzz target is the whole library once more, built by clang with its sanitizers.
STORE_FUZZ_SECONDS ?= 60
STORE_FUZZ_CFLAGS := $(filter-out -fsanitize=%,$(BASE_CFLAGS)) -O1 -DTABLESTORE_VERSION='"fuzz"' \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
$(BUILD)/tests/store/fuzz_table: tests/store/fuzz_table.c $(STORE_SOURCES) $(wildcard store/*.h)
	@mkdir -p $(@D)
	clang $(STORE_FUZZ_CFLAGS) -o $@ tests/store/fuzz_table.c $(STORE_SOURCES) $(STORE_LIBS)

# Findings of earlier runs stay in the corpus of the build directory; a crash is left in crash-*.
.PHONY: check-store-fuzz fuzz-store
check-store: check-store-fuzz
check-store-fuzz: $(BUILD)/tests/store/fuzz_table
	@python3 tests/store/fuzz_corpus.py tests/store/tables tests/store/fuzz_table.c $(BUILD)/tests/store/seeds
	@mkdir -p $(BUILD)/tests/store/corpus
	@$(REPORT) store 'fuzz=cd $(BUILD)/tests/store && ./fuzz_table -max_total_time=$(STORE_FUZZ_SECONDS) -timeout=10 \
		-rss_limit_mb=2048 -max_len=16384 -dict=$(CURDIR)/tests/store/fuzz.dict -print_final_stats=1 -verbosity=0 \
		corpus seeds && echo "1 passed, 0 failed"'

# As long as one likes: make fuzz-store STORE_FUZZ_SECONDS=86400
fuzz-store: check-store-fuzz
