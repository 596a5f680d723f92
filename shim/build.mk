# liblockshim.so, and the objects of it that lockctl and the tests link too.
#
# The shim is built plain: fortification would call checking twins of libc functions, and a stack
# protector or thread-local storage of another model might not be set up yet when it is called.
SHIM_CFLAGS := -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-stack-protector \
	-fno-builtin-dprintf -U_FORTIFY_SOURCE
SHIM_LDFLAGS := -Wl,-z,initfirst -Wl,-z,nodelete -Wl,-z,defs -Wl,-Bsymbolic-functions \
	-Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-O1 -Wl,--hash-style=gnu -Wl,--sort-section=name \
	-Wl,-soname,liblockshim.so
SHIM_SHARED_SOURCES := shim/settings.c $(wildcard shim/lock/*.c shim/program/*.c)
# Taking a lock over is lockctl's: no part of the shim.
TAKEOVER_SOURCES := $(wildcard shim/lock/takeover*.c)
# What runs in every process is linked side by side: the kernel maps 64 KiB at once. First what starts it,
# and what a forked child runs, which has to map it anew; then what takes a lock for the first time.
SHIM_LIFE_SOURCES := $(addprefix shim/,interpose/real.c start.c tables.c tables_set_up.c settings.c touch.c descriptors.c \
	mappings.c lost_update.c content_sum.c undo_turn.c trace.c report.c interpose/processes.c \
	$(addprefix lock/,self.c own.c objects.c resolve.c latch.c lock.c) \
	interpose/open.c interpose/close.c interpose/write.c holding.c \
	$(addprefix lock/,publish.c publish_leave.c succession.c undo_lock.c lock_file.c registry.c registry_file.c process.c))
SHIM_SOURCES := $(SHIM_LIFE_SOURCES) $(filter-out $(SHIM_LIFE_SOURCES) $(TAKEOVER_SOURCES),\
	$(wildcard shim/*.c shim/lock/*.c shim/program/*.c shim/interpose/*.c))
SHIM_OBJECTS := $(SHIM_SOURCES:%.c=$(BUILD)/obj/%.o)
SHIM_SHARED_OBJECTS := $(SHIM_SHARED_SOURCES:%.c=$(BUILD)/obj/%.o)

LINT_C += $(SHIM_SOURCES) $(TAKEOVER_SOURCES) $(wildcard shim/*.h shim/lock/*.h shim/program/*.h shim/interpose/*.h)

all: $(BUILD)/liblockshim.so

$(BUILD)/obj/shim/%.o: shim/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(CFLAGS) $(SHIM_CFLAGS) -MMD -MP -c -o $@ $<

# Sorted by name, what is sparse comes behind the rest of .bss (lock/sparse.h).
# Exported is what symbols.def names, and nothing else.
$(BUILD)/obj/shim/liblockshim.map: shim/interpose/symbols.def
	@mkdir -p $(@D)
	{ echo '{ global:'; sed -nE 's/^(EARLY|SYMBOL|GLIBC|EARLY_GLIBC|SINCE)\(([A-Za-z0-9_]+).*/  \2;/p' $<; \
	  echo 'local: *; };'; } > $@

# A library that watches its memory or its threads wants to be a program's first, which a preload can't
# be: such builds guard programs with the plain one (tests/sanitize.mk).
PLAIN ?= build
ifneq ($(filter address thread,$(SANITIZE)),)
$(BUILD)/liblockshim.so: $(PLAIN)/liblockshim.so
	@mkdir -p $(@D)
	cp $< $@
else
$(BUILD)/liblockshim.so: $(SHIM_OBJECTS) $(BUILD)/obj/shim/liblockshim.map
	$(CC) -shared $(BASE_LDFLAGS) $(LDFLAGS) $(SHIM_LDFLAGS) \
		-Wl,--version-script=$(BUILD)/obj/shim/liblockshim.map -o $@ $(SHIM_OBJECTS)
endif

# Builds for programs of another libc, and the directory from which each program's own loader takes
# the one that fits. LD_PRELOAD names it with $LIB in the path: glibc puts its library directory there
# (lib/x86_64-linux-gnu, lib64, lib: the distributions differ), musl looks for a directory that is
# called so. So one entry serves both, and neither complains of the other's.
SHIM_SET := $(BUILD)/lockshim
SHIM_SET_DIRS := $(patsubst %,lib/%,$(shell $(CC) -print-multiarch 2>/dev/null)) lib64 lib
SHIM_I386_DIRS := lib32 lib/i386-linux-gnu
SHIM_MUSL_CC := $(if $(SANITIZE),,$(shell command -v musl-gcc 2>/dev/null))
SHIM_MUSL_OBJECTS := $(SHIM_SOURCES:%.c=$(BUILD)/musl/%.o)
# musl's own headers convert signs in macros; the unnamed members of interpose/musl.h are Microsoft's.
SHIM_MUSL_CFLAGS := $(filter-out -fsanitize=%,$(BASE_CFLAGS)) -Wno-sign-conversion -fms-extensions \
	-idirafter $(BUILD)/musl/include

# The kernel's headers, and no other of the glibc system's.
$(BUILD)/musl/include:
	@mkdir -p $@
	ln -sfn /usr/include/linux $@/linux
	ln -sfn /usr/include/asm-generic $@/asm-generic
	ln -sfn $(firstword $(wildcard /usr/include/$(shell $(CC) -print-multiarch)/asm /usr/include/asm)) $@/asm

$(BUILD)/musl/%.o: %.c | $(BUILD)/musl/include
	@mkdir -p $(@D)
	$(SHIM_MUSL_CC) $(SHIM_MUSL_CFLAGS) $(CFLAGS) $(SHIM_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/musl/liblockshim.map: shim/interpose/symbols.def
	@mkdir -p $(@D)
	{ echo '{ global:'; sed -nE 's/^(EARLY|SYMBOL)\(([A-Za-z0-9_]+).*/  \2;/p' $<; \
	  echo 'local: *; };'; } > $@

$(BUILD)/musl/liblockshim.so: $(SHIM_MUSL_OBJECTS) $(BUILD)/musl/liblockshim.map
	$(SHIM_MUSL_CC) -shared $(LDFLAGS) -Wl,-z,defs -Wl,-Bsymbolic-functions -Wl,-O1 -Wl,--hash-style=gnu -Wl,--sort-section=name \
		-Wl,-soname,liblockshim.so -Wl,--version-script=$(BUILD)/musl/liblockshim.map \
		-o $@ $(SHIM_MUSL_OBJECTS)

# For 32-bit programs on a 64-bit machine. Behind the entry points all is built with 64-bit offsets
# and times; the entry points themselves are those of either width.
SHIM_I386_CC := $(if $(SANITIZE),,$(if $(filter x86_64-%,$(shell $(CC) -dumpmachine 2>/dev/null)),\
	$(shell command -v i686-linux-gnu-gcc 2>/dev/null)))
SHIM_I386_LIBC := $(firstword $(wildcard /lib32/libc.so.6 /lib/i386-linux-gnu/libc.so.6))
SHIM_I386_OBJECTS := $(SHIM_SOURCES:%.c=$(BUILD)/i386/%.o)
SHIM_I386_CFLAGS = $(filter-out -fsanitize=%,$(BASE_CFLAGS)) -Wno-psabi \
	$(if $(filter shim/interpose/%,$<),,-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64)

$(BUILD)/i386/%.o: %.c
	@mkdir -p $(@D)
	$(SHIM_I386_CC) $(SHIM_I386_CFLAGS) $(CFLAGS) $(SHIM_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/i386/liblockshim.map: shim/interpose/symbols.def
	@mkdir -p $(@D)
	{ echo '{ global:'; sed -nE 's/^(EARLY|SYMBOL|GLIBC|EARLY_GLIBC|SINCE|TIME64)\(([A-Za-z0-9_]+).*/  \2;/p' $<; \
	  echo 'local: *; };'; } > $@

$(BUILD)/i386/liblockshim.so: $(SHIM_I386_OBJECTS) $(BUILD)/i386/liblockshim.map
	$(SHIM_I386_CC) -shared $(BASE_LDFLAGS) $(LDFLAGS) $(SHIM_LDFLAGS) \
		-Wl,--version-script=$(BUILD)/i386/liblockshim.map -o $@ $(SHIM_I386_OBJECTS)

SHIM_I386_SO := $(if $(SHIM_I386_CC),$(BUILD)/i386/liblockshim.so)
SHIM_SET_MEMBERS := $(if $(SHIM_MUSL_CC),$(BUILD)/musl/liblockshim.so) $(SHIM_I386_SO)
ifneq ($(strip $(SHIM_SET_MEMBERS)),)
all: $(SHIM_SET)
endif
.PHONY: $(SHIM_SET)
$(SHIM_SET): $(BUILD)/liblockshim.so $(SHIM_SET_MEMBERS)
	@for directory in $(SHIM_SET_DIRS); do mkdir -p $@/$$directory && \
		ln -sfr $(BUILD)/liblockshim.so $@/$$directory/ || exit 1; done
	@$(if $(SHIM_MUSL_CC),mkdir -p '$@/$$LIB' && ln -sfr $(BUILD)/musl/liblockshim.so '$@/$$LIB/')
	@$(if $(SHIM_I386_CC),for directory in $(SHIM_I386_DIRS); do mkdir -p $@/$$directory && \
		ln -sfr $(BUILD)/i386/liblockshim.so $@/$$directory/ || exit 1; done)

.PHONY: install-shim install-shim-set
INSTALLS += install-shim
install-shim: $(BUILD)/liblockshim.so
	install -D -m 0644 $< $(DESTDIR)$(SHIMDIR)/liblockshim.so
ifneq ($(strip $(SHIM_SET_MEMBERS)),)
INSTALLS += install-shim-set
install-shim-set: $(SHIM_SET_MEMBERS) install-shim
	for directory in $(SHIM_SET_DIRS); do mkdir -p $(DESTDIR)$(SHIMSETDIR)/$$directory && \
		{ [ $(SHIMSETDIR)/$$directory = $(SHIMDIR) ] || \
		ln -sfr $(DESTDIR)$(SHIMDIR)/liblockshim.so $(DESTDIR)$(SHIMSETDIR)/$$directory/; } || exit 1; done
	$(if $(SHIM_MUSL_CC),install -D -m 0644 $(BUILD)/musl/liblockshim.so \
		'$(DESTDIR)$(SHIMSETDIR)/$$LIB/liblockshim.so')
	$(if $(SHIM_I386_CC),install -D -m 0644 $(BUILD)/i386/liblockshim.so $(DESTDIR)$(SHIMSETDIR)/lib32/liblockshim.so && \
		mkdir -p $(DESTDIR)$(SHIMSETDIR)/lib/i386-linux-gnu && \
		ln -sfr $(DESTDIR)$(SHIMSETDIR)/lib32/liblockshim.so $(DESTDIR)$(SHIMSETDIR)/lib/i386-linux-gnu/)
endif

-include $(SHIM_OBJECTS:.o=.d) $(SHIM_SHARED_OBJECTS:.o=.d) $(SHIM_MUSL_OBJECTS:.o=.d) $(SHIM_I386_OBJECTS:.o=.d)
