# Fifty programs at work on three stores, while some are killed, stopped, resumed, and their locks broken.
#
#   make check-chaos     half a minute          make torture TORTURE_SECONDS=3600     for hours
CHAOS_SECONDS ?= 20

DEPS_TEST += procps python3 recutils
CHECKS += check-chaos

.PHONY: check-chaos torture-chaos
check-chaos: all
	@$(REPORT) chaos 'torture=python3 tests/chaos/torture.py $(BUILD) $(CHAOS_SECONDS)'

torture: torture-chaos
torture-chaos: all
	python3 tests/chaos/torture.py $(BUILD) $(TORTURE_SECONDS)
