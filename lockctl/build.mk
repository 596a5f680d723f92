# lockctl: one file a command, over the shim's own lock and settings.
DEPS_BUILD += libbsd-dev libinih-dev libsmartcols-dev

LOCKCTL_SOURCES := $(wildcard lockctl/*.c lockctl/inspect/*.c)
LOCKCTL_OBJECTS := $(LOCKCTL_SOURCES:%.c=$(BUILD)/obj/%.o)
LOCKCTL_CFLAGS = $(BASE_CFLAGS) $(CFLAGS) $(HARDENED) $(shell pkg-config --cflags libbsd-overlay inih smartcols) \
	-DLIBDIR='"$(LIBDIR)"'
LOCKCTL_LIBS = $(shell pkg-config --libs libbsd-overlay inih smartcols)

all: $(BUILD)/lockctl

$(LOCKCTL_OBJECTS): $(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(LOCKCTL_CFLAGS) -MMD -MP -c -o $@ $<
-include $(LOCKCTL_OBJECTS:.o=.d)

$(BUILD)/lockctl: $(LOCKCTL_OBJECTS) $(SHIM_SHARED_OBJECTS)
	$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LOCKCTL_LIBS)

.PHONY: install-lockctl
INSTALLS += install-lockctl
install-lockctl: $(BUILD)/lockctl
	install -D $(BUILD)/lockctl $(DESTDIR)$(BINDIR)/lockctl
	install -D -m 0644 man/lockctl.1 $(DESTDIR)$(MANDIR)/man1/lockctl.1

LINT_C += $(LOCKCTL_SOURCES) $(wildcard lockctl/*.h lockctl/inspect/*.h)
