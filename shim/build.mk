# liblockshim.so, and the objects of it that lockctl and the tests link too.
#
# The shim is built plain: fortification would call checking twins of libc functions, and a stack
# protector or thread-local storage of another model might not be set up yet when it is called.
SHIM_CFLAGS := -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-stack-protector \
	-fno-builtin-dprintf -U_FORTIFY_SOURCE
SHIM_SHARED_SOURCES := shim/settings.c $(wildcard shim/lock/*.c shim/program/*.c)
# Taking a lock over is lockctl's: no part of the shim.
TAKEOVER_SOURCES := $(wildcard shim/lock/takeover*.c)
SHIM_SOURCES := $(filter-out $(TAKEOVER_SOURCES),\
	$(wildcard shim/*.c shim/lock/*.c shim/program/*.c shim/interpose/*.c))
SHIM_OBJECTS := $(SHIM_SOURCES:%.c=$(BUILD)/obj/%.o)
SHIM_SHARED_OBJECTS := $(SHIM_SHARED_SOURCES:%.c=$(BUILD)/obj/%.o)

LINT_C += $(SHIM_SOURCES) $(TAKEOVER_SOURCES) $(wildcard shim/*.h shim/lock/*.h shim/program/*.h shim/interpose/*.h)

all: $(BUILD)/liblockshim.so

$(BUILD)/obj/shim/%.o: shim/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(CFLAGS) $(SHIM_CFLAGS) -MMD -MP -c -o $@ $<

# Exported is what symbols.def names, and nothing else.
$(BUILD)/obj/shim/liblockshim.map: shim/interpose/symbols.def
	@mkdir -p $(@D)
	{ echo '{ global:'; sed -nE 's/^(EARLY|SYMBOL|SINCE)\(([A-Za-z0-9_]+).*/  \2;/p' $<; \
	  echo 'local: *; };'; } > $@

$(BUILD)/liblockshim.so: $(SHIM_OBJECTS) $(BUILD)/obj/shim/liblockshim.map
	$(CC) -shared $(BASE_LDFLAGS) $(LDFLAGS) -Wl,-z,initfirst -Wl,-z,nodelete -Wl,-z,defs \
		-Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-O1 -Wl,--hash-style=gnu \
		-Wl,-soname,liblockshim.so -Wl,--version-script=$(BUILD)/obj/shim/liblockshim.map \
		-o $@ $(SHIM_OBJECTS)

.PHONY: install-shim
INSTALLS += install-shim
install-shim: $(BUILD)/liblockshim.so
	install -D -m 0644 $< $(DESTDIR)$(SHIMDIR)/liblockshim.so

-include $(SHIM_OBJECTS:.o=.d) $(SHIM_SHARED_OBJECTS:.o=.d)
