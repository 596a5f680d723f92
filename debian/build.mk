# The release tarball, and the Debian packages made from it: of the last commit, not of the working
# tree. Both come out the same, byte for byte, whenever and wherever they are made.
DIST := $(BUILD)/lockshim-$(VERSION).tar.gz
DEB_DIR := $(abspath $(BUILD))/deb
DEPS_DEB := dpkg-dev debhelper lintian debootstrap

.PHONY: dist deb
dist:
	@mkdir -p $(BUILD)
	git archive --prefix=lockshim-$(VERSION)/ HEAD | gzip -n -9 >$(DIST)

deb: dist
	sh tests/install-deps.sh $(DEPS_BUILD) $(DEPS_DEB)
	rm -rf $(DEB_DIR)
	mkdir -p $(DEB_DIR)
	tar -C $(DEB_DIR) -xzf $(DIST)
	cd $(DEB_DIR)/lockshim-$(VERSION) && env -u MAKEFLAGS -u MAKELEVEL -u BUILD -u DESTDIR -u PREFIX \
		dpkg-buildpackage --no-sign
	mkdir -p $(DEB_DIR)/tmp # lintian leaves files there
	cd $(DEB_DIR) && TMPDIR=$(DEB_DIR)/tmp lintian --fail-on error,warning lockshim_$(VERSION)_*.changes
	@ls $(DEB_DIR)/*.deb
