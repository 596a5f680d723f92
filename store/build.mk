# tablestore: the reference store. The library is for other programs too; the tool is linked to the
# static one, so that it runs from the build directory. Neither takes a lock of its own.
DEPS_BUILD += libbsd-dev libunistring-dev libsmartcols-dev libjansson-dev libcsv-dev

STORE_SOURCES := $(wildcard store/*.c)
STORE_TOOL_SOURCES := $(wildcard store/tool/*.c)
STORE_OBJECTS := $(STORE_SOURCES:%.c=$(BUILD)/%.o)
STORE_TOOL_OBJECTS := $(STORE_TOOL_SOURCES:%.c=$(BUILD)/%.o)
STORE_SONAME := libtablestore.so.0
STORE_CFLAGS := $(BASE_CFLAGS) $(CFLAGS) $(HARDENED) -DTABLESTORE_VERSION='"$(VERSION)"' -fvisibility=hidden -fPIC
STORE_LIBS := -lunistring -lbsd -lm
STORE_TOOL_LIBS := -lsmartcols -ljansson -lcsv

all: $(BUILD)/tablestore $(BUILD)/libtablestore.a $(BUILD)/$(STORE_SONAME) $(BUILD)/tablestore.pc

$(STORE_OBJECTS) $(STORE_TOOL_OBJECTS): $(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(STORE_CFLAGS) -MMD -MP -c -o $@ $<
-include $(STORE_OBJECTS:.o=.d) $(STORE_TOOL_OBJECTS:.o=.d)

$(BUILD)/libtablestore.a: $(STORE_OBJECTS)
	rm -f $@
	ar rcs $@ $^

$(BUILD)/$(STORE_SONAME): $(STORE_OBJECTS)
	$(CC) -shared -Wl,-soname,$(STORE_SONAME) $(BASE_LDFLAGS) $(LDFLAGS) -Wl,-z,defs -o $@ $^ $(STORE_LIBS)
	ln -sf $(STORE_SONAME) $(BUILD)/libtablestore.so

$(BUILD)/tablestore: $(STORE_TOOL_OBJECTS) $(BUILD)/libtablestore.a
	$(CC) $(BASE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(STORE_TOOL_LIBS) $(STORE_LIBS)

# Written anew each time, because PREFIX may be another.
.PHONY: $(BUILD)/tablestore.pc
$(BUILD)/tablestore.pc:
	@mkdir -p $(@D)
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' \
		'Name: tablestore' 'Description: An embedded store over tables in the format of Buzhug 1.8' \
		'Version: $(VERSION)' 'Libs: -L$${libdir} -ltablestore' \
		'Libs.private: $(STORE_LIBS)' 'Cflags: -I$${includedir}' >$@

.PHONY: install-store
INSTALLS += install-store
install-store: $(BUILD)/tablestore $(BUILD)/libtablestore.a $(BUILD)/$(STORE_SONAME) $(BUILD)/tablestore.pc
	install -D $(BUILD)/tablestore $(DESTDIR)$(BINDIR)/tablestore
	install -D -m 644 $(BUILD)/libtablestore.a $(DESTDIR)$(LIBDIR)/libtablestore.a
	install -D -m 644 $(BUILD)/$(STORE_SONAME) $(DESTDIR)$(LIBDIR)/$(STORE_SONAME)
	ln -sf $(STORE_SONAME) $(DESTDIR)$(LIBDIR)/libtablestore.so
	install -D -m 644 store/tablestore.h $(DESTDIR)$(INCLUDEDIR)/tablestore.h
	install -D -m 644 $(BUILD)/tablestore.pc $(DESTDIR)$(LIBDIR)/pkgconfig/tablestore.pc

LINT_C += $(STORE_SOURCES) $(STORE_TOOL_SOURCES) $(wildcard store/*.h store/tool/*.h)
include tests/store/build.mk
