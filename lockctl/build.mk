# lockctl: one file a command, over the shim's own lock and settings. The two small libraries that it always
# needs are linked in where there is an archive of them: to load them would take as long as all the rest of its
# start. libsmartcols and ncurses are loaded when they are used (lockctl/library.h).
DEPS_BUILD += libbsd-dev libinih-dev libncurses-dev libsmartcols-dev

LOCKCTL_SOURCES := $(wildcard lockctl/*.c lockctl/inspect/*.c lockctl/doctor/*.c lockctl/top/*.c \
	lockctl/advise/*.c)
LOCKCTL_OBJECTS := $(LOCKCTL_SOURCES:%.c=$(BUILD)/obj/%.o)
LOCKCTL_CFLAGS = $(BASE_CFLAGS) $(CFLAGS) $(HARDENED) $(shell pkg-config --cflags libbsd-overlay inih ncursesw smartcols) \
	-DLIBDIR='"$(SHIMDIR)"' -DSHIMSETDIR='"$(SHIMSETDIR)"'

LOCKCTL_ARCHIVES := $(filter /%,$(foreach name,libbsd.a libmd.a libinih.a,$(shell $(CC) -print-file-name=$(name))))
LOCKCTL_LIBS = $(if $(filter 3,$(words $(LOCKCTL_ARCHIVES))),$(LOCKCTL_ARCHIVES),$(shell pkg-config --libs libbsd-overlay inih))

all: $(BUILD)/lockctl

# Built in is where the shim is installed: another place is another lockctl.
.PHONY: force
$(BUILD)/obj/shimdir: force
	@mkdir -p $(@D)
	@echo '$(SHIMDIR) $(SHIMSETDIR)' | cmp -s - $@ || echo '$(SHIMDIR) $(SHIMSETDIR)' >$@

$(LOCKCTL_OBJECTS): $(BUILD)/obj/%.o: %.c $(BUILD)/obj/shimdir
	@mkdir -p $(@D)
	$(CC) $(LOCKCTL_CFLAGS) -MMD -MP -c -o $@ $<
-include $(LOCKCTL_OBJECTS:.o=.d)

$(BUILD)/lockctl: $(LOCKCTL_OBJECTS) $(SHIM_SHARED_OBJECTS)
	$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LOCKCTL_LIBS) -ldl

.PHONY: install-lockctl
INSTALLS += install-lockctl
install-lockctl: $(BUILD)/lockctl
	install -D $(BUILD)/lockctl $(DESTDIR)$(BINDIR)/lockctl

LINT_C += $(LOCKCTL_SOURCES) $(wildcard lockctl/*.h lockctl/inspect/*.h lockctl/doctor/*.h \
	lockctl/top/*.h lockctl/advise/*.h)
