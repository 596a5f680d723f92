# What guarding costs. Never a test: figures from one machine, to be compared within one run.
BENCH_C := tests/bench/calls.c
LINT_C += $(BENCH_C)
LINT_SH += tests/bench/bench.sh

bench: all $(BUILD)/bench/calls
	BUILD=$(BUILD) bash tests/bench/bench.sh
bench-quick: all $(BUILD)/bench/calls
	BUILD=$(BUILD) BENCH_ROUNDS=3 bash tests/bench/bench.sh

$(BUILD)/bench/calls: $(BENCH_C)
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(HARDENED) $(BASE_LDFLAGS) -o $@ $<
