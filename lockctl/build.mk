# lockctl: one file a command, over the shim's own lock and settings. It is two programs: lockctl, which
# starts commands, and lockctl-inspect, which it becomes for all that needs a terminal's or a table's
# libraries. The two small libraries that starting needs are linked in where there is an archive of
# them: to load them would take as long as all the rest of its start.
DEPS_BUILD += libbsd-dev libinih-dev libncurses-dev libsmartcols-dev

LOCKCTL_SOURCES := $(wildcard lockctl/*.c lockctl/inspect/*.c lockctl/doctor/*.c lockctl/top/*.c \
	lockctl/advise/*.c)
LOCKCTL_OBJECTS := $(LOCKCTL_SOURCES:%.c=$(BUILD)/obj/%.o)
LOCKCTL_CFLAGS = $(BASE_CFLAGS) $(CFLAGS) $(HARDENED) $(shell pkg-config --cflags libbsd-overlay inih ncursesw smartcols) \
	-DLIBDIR='"$(SHIMDIR)"' -DSHIMSETDIR='"$(SHIMSETDIR)"' -DLIBEXECDIR='"$(LIBEXECDIR)"'
LOCKCTL_LIBS = $(shell pkg-config --libs libbsd-overlay inih ncursesw smartcols)

LOCKCTL_ARCHIVES := $(filter /%,$(foreach name,libbsd.a libmd.a libinih.a,$(shell $(CC) -print-file-name=$(name))))
LOCKCTL_START_LIBS = $(if $(filter 3,$(words $(LOCKCTL_ARCHIVES))),$(LOCKCTL_ARCHIVES),$(shell pkg-config --libs libbsd-overlay inih))

all: $(BUILD)/lockctl $(BUILD)/lockctl-inspect

# Built in is where the shim and lockctl-inspect are installed: another place is another lockctl.
.PHONY: force
$(BUILD)/obj/shimdir: force
	@mkdir -p $(@D)
	@echo '$(SHIMDIR) $(SHIMSETDIR) $(LIBEXECDIR)' | cmp -s - $@ || echo '$(SHIMDIR) $(SHIMSETDIR) $(LIBEXECDIR)' >$@

$(LOCKCTL_OBJECTS): $(BUILD)/obj/%.o: %.c $(BUILD)/obj/shimdir
	@mkdir -p $(@D)
	$(CC) $(LOCKCTL_CFLAGS) -MMD -MP -c -o $@ $<
-include $(LOCKCTL_OBJECTS:.o=.d)

# Of it, each program takes what it needs.
$(BUILD)/obj/lockctl.a: $(filter-out %main.o,$(LOCKCTL_OBJECTS)) $(SHIM_SHARED_OBJECTS)
	rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/lockctl: $(BUILD)/obj/lockctl/main.o $(BUILD)/obj/lockctl.a
	$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LOCKCTL_START_LIBS)
$(BUILD)/lockctl-inspect: $(BUILD)/obj/lockctl/inspect_main.o $(BUILD)/obj/lockctl.a
	$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(LOCKCTL_LIBS)

.PHONY: install-lockctl
INSTALLS += install-lockctl
install-lockctl: $(BUILD)/lockctl $(BUILD)/lockctl-inspect
	install -D $(BUILD)/lockctl $(DESTDIR)$(BINDIR)/lockctl
	install -D $(BUILD)/lockctl-inspect $(DESTDIR)$(LIBEXECDIR)/lockshim/lockctl-inspect

LINT_C += $(LOCKCTL_SOURCES) $(wildcard lockctl/*.h lockctl/inspect/*.h lockctl/doctor/*.h \
	lockctl/top/*.h lockctl/advise/*.h)
