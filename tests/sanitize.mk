# The checks once more, in builds that watch themselves: for what C leaves undefined, for memory that
# is not one's own, and for threads that race. Each lies in a folder of its own below build/.
#
#   make check-sanitize
#
# What C leaves undefined traps in all that is built, the preloaded library as well. The other two want
# to be a program's first library, which a preload can't grant: they watch lockctl, tablestore and the
# unit tests, while the programs that are guarded get the plain library.
SANITIZED = env $(1) $(MAKE) -s --no-print-directory SHIM_MUSL_CC= BUILD=$(BUILD)/sanitize-$(2) SANITIZE=$(3) \
	PLAIN=$(CURDIR)/$(BUILD)
SANITIZED_UNDEFINED = $(call SANITIZED,,undefined,undefined) CFLAGS=-fsanitize-undefined-trap-on-error
SANITIZED_ADDRESS = $(call SANITIZED,ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0,address,address)
SANITIZED_THREAD = $(call SANITIZED,,thread,thread)

CHECKS += check-sanitize
.PHONY: check-sanitize
check-sanitize: all
	@$(REPORT) sanitize undefined='$(SANITIZED_UNDEFINED) check-unit check-e2e' \
		address='$(SANITIZED_ADDRESS) check-unit check-registry-tools check-inspect check-break' \
		thread='$(SANITIZED_THREAD) check-unit'
