# What lockshim costs and gains, beside its peers. Never a test: figures of one machine, told as ratios
# within one run.
#
#   make bench            all sections, half an hour       make bench SECTIONS='calls session'
#   make bench-quick      all of them in two minutes       make deps-bench     the peers
#   make costs            the README's table and plot, from the last run (COSTS: files of results, the last counts)
DEPS_BENCH := eatmydata fakechroot nocache libsocket-wrapper liblockfile-bin procmail sqlite3 libsqlite3-dev \
	lsof psmisc util-linux gnuplot-nox valgrind e2fsprogs xfsprogs btrfs-progs python3
DEPS_TEST += python3

BENCH_PROGRAMS := calls session handover scale start
BENCH_BUILT := $(BENCH_PROGRAMS:%=$(BUILD)/bench/%)
BENCH_CROWDS := $(BUILD)/bench/crowd_commands $(BUILD)/bench/crowd_store
BENCH_SQLITE := $(BUILD)/bench/sqlite $(BUILD)/bench/crowd_sqlite
SECTIONS ?=

.PHONY: deps-bench
deps-bench:
	sh tests/install-deps.sh $(DEPS_BENCH)

bench: all $(BENCH_BUILT) $(BENCH_CROWDS) $(BENCH_SQLITE) $(BUILD)/inspect/state
	BUILD=$(BUILD) python3 tests/bench/bench.py $(SECTIONS)
bench-quick: all $(BENCH_BUILT) $(BENCH_CROWDS) $(BENCH_SQLITE) $(BUILD)/inspect/state
	BUILD=$(BUILD) python3 tests/bench/bench.py --quick $(SECTIONS)

COSTS ?= $(BUILD)/bench/results.json
.PHONY: costs
costs:
	python3 tests/bench/costs.py $(COSTS)
	if [ -e $(BUILD)/bench/growth.svg ]; then cp $(BUILD)/bench/growth.svg doc/growth.svg; fi

$(BUILD)/bench/%.o: tests/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(HARDENED) -MMD -MP -c -o $@ $<
$(BENCH_BUILT): $(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/bench/worker.o
	$(CC) $(BASE_LDFLAGS) -o $@ $^ -pthread
$(BENCH_CROWDS): $(BUILD)/bench/%: $(BUILD)/bench/%.o $(BUILD)/bench/crowd.o $(BUILD)/bench/worker.o $(BUILD)/libtablestore.a
	$(CC) $(BASE_LDFLAGS) -o $@ $^ $(STORE_LIBS)
# Where SQLite's headers are missing there is no such peer, and the driver tells.
$(BENCH_SQLITE): $(BUILD)/bench/%: tests/bench/%.c $(BUILD)/bench/crowd.o $(BUILD)/bench/worker.o
	$(if $(shell pkg-config --exists sqlite3 && echo yes),$(CC) $(BASE_CFLAGS) $(HARDENED) $(BASE_LDFLAGS) -o $@ $^ -lsqlite3)
-include $(wildcard $(BUILD)/bench/*.d)

LINT_C += $(wildcard tests/bench/*.[ch])

.PHONY: check-bench
CHECKS += check-bench
check-bench: all $(BENCH_BUILT) $(BENCH_SQLITE)
	@$(REPORT) bench driver='python3 tests/bench/check.py'
