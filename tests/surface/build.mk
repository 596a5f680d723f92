# Tests of the shim's surface: every interposed symbol, the two tests of the list of symbols, and
# the pitfalls that other shims fell into.
DEPS_TEST += gcc binutils python3 musl-tools util-linux
ifeq ($(shell uname -m),x86_64)
DEPS_TEST += gcc-i686-linux-gnu libc6-dev-i386-cross libc6-i386
endif

SURFACE_DIR := $(BUILD)/tests/surface
SURFACE_SOURCES := $(wildcard tests/surface/*.c)
SURFACE_PITFALLS := $(wildcard tests/surface/pitfalls/*.c)
# As programs are: plain, and fortified, where libc's headers put checking twins in their place.
SURFACE_CFLAGS := $(filter-out -fsanitize=%,$(BASE_CFLAGS)) -Wno-nonnull -Wno-deprecated-declarations
SURFACE_PLAIN := $(SURFACE_SOURCES:tests/surface/%.c=$(SURFACE_DIR)/plain/%.o)
SURFACE_FORTIFIED := $(SURFACE_SOURCES:tests/surface/%.c=$(SURFACE_DIR)/fortified/%.o)

$(SURFACE_DIR)/plain/%.o: tests/surface/%.c
	@mkdir -p $(@D)
	$(CC) $(SURFACE_CFLAGS) -U_FORTIFY_SOURCE -MMD -MP -c -o $@ $<
$(SURFACE_DIR)/fortified/%.o: tests/surface/%.c
	@mkdir -p $(@D)
	$(CC) $(SURFACE_CFLAGS) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -O2 -MMD -MP -c -o $@ $<
$(SURFACE_DIR)/surface-plain: $(SURFACE_PLAIN)
	$(CC) -o $@ $^
$(SURFACE_DIR)/surface-fortified: $(SURFACE_FORTIFIED)
	$(CC) -o $@ $^
-include $(SURFACE_PLAIN:.o=.d) $(SURFACE_FORTIFIED:.o=.d)
# The same for 32-bit programs, where their shim is built.
SURFACE_I386 := $(if $(SHIM_I386_CC),$(SURFACE_DIR)/surface-plain-i386 $(SURFACE_DIR)/surface-fortified-i386)
$(SURFACE_DIR)/surface-plain-i386: $(SURFACE_SOURCES) $(wildcard tests/surface/*.h) $(SHIM_I386_SO)
	@mkdir -p $(@D)
	$(SHIM_I386_CC) $(SURFACE_CFLAGS) -U_FORTIFY_SOURCE -o $@ $(SURFACE_SOURCES)
$(SURFACE_DIR)/surface-fortified-i386: $(SURFACE_SOURCES) $(wildcard tests/surface/*.h) $(SHIM_I386_SO)
	@mkdir -p $(@D)
	$(SHIM_I386_CC) $(SURFACE_CFLAGS) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -O2 -o $@ $(SURFACE_SOURCES)

.PHONY: check-surface check-surface-calls check-surface-symbols
CHECKS += check-surface
check-surface: check-surface-calls check-surface-symbols
check-surface-symbols: $(BUILD)/liblockshim.so $(SHIM_I386_SO)
	@$(REPORT) surface symbols=tests/surface/symbols.sh $(if $(wildcard $(SHIM_I386_LIBC)),$(if $(SHIM_I386_CC),\
		symbols-i386='SHIM=$(BUILD)/i386/liblockshim.so LIBC=$(SHIM_I386_LIBC) tests/surface/symbols.sh'))
check-surface-calls: $(SURFACE_DIR)/surface-plain $(SURFACE_DIR)/surface-fortified $(SURFACE_I386) \
		$(BUILD)/liblockshim.so
	@$(REPORT) surface calls=tests/surface/calls.sh

# The pitfalls: each case in a guarded process of its own, and the libraries and programs they load.
PITFALL_OBJECTS := $(SURFACE_PITFALLS:tests/surface/%.c=$(SURFACE_DIR)/%.o)
PITFALL_TOOLS := $(patsubst tests/surface/tools/%.c,$(SURFACE_DIR)/tools/%.so,$(wildcard tests/surface/tools/lib*.c)) \
	$(SURFACE_DIR)/tools/static $(SURFACE_DIR)/tools/musl
$(SURFACE_DIR)/pitfalls/%.o: tests/surface/pitfalls/%.c
	@mkdir -p $(@D)
	$(CC) $(SURFACE_CFLAGS) -MMD -MP -c -o $@ $<
$(SURFACE_DIR)/pitfalls/pitfalls: $(PITFALL_OBJECTS)
	$(CC) -o $@ $^ -lpthread
$(SURFACE_DIR)/tools/%.so: tests/surface/tools/%.c
	@mkdir -p $(@D)
	$(CC) $(SURFACE_CFLAGS) -fPIC -shared -o $@ $<
$(SURFACE_DIR)/tools/static: tests/surface/tools/append.c
	@mkdir -p $(@D)
	$(CC) $(SURFACE_CFLAGS) -static -o $@ $<
$(SURFACE_DIR)/tools/musl: tests/surface/tools/append.c
	@mkdir -p $(@D)
	musl-gcc -O2 -D_GNU_SOURCE -o $@ $< || rm -f $@
-include $(PITFALL_OBJECTS:.o=.d)

.PHONY: check-surface-pitfalls
check-surface: check-surface-pitfalls
check-surface-pitfalls: $(SURFACE_DIR)/pitfalls/pitfalls $(PITFALL_TOOLS) $(BUILD)/liblockshim.so
	@$(REPORT) surface 'pitfalls=$(SURFACE_DIR)/pitfalls/pitfalls $(abspath $(BUILD)/liblockshim.so) \
		$(abspath $(SURFACE_DIR)/tools)'

LINT_C += $(SURFACE_SOURCES) $(SURFACE_PITFALLS) $(wildcard tests/surface/*.h tests/surface/pitfalls/*.h \
	tests/surface/tools/*.c)
LINT_SH += $(wildcard tests/surface/*.sh)
