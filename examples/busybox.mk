# The rule that makes a root file system of one static busybox.

BUSYBOX ?= $(shell command -v busybox)

rootfs/bin/sh:
	@[ -n "$(BUSYBOX)" ] || { echo "busybox is missing: apt install busybox-static"; exit 1; }
	@! ldd "$(BUSYBOX)" >/dev/null 2>&1 || { echo "$(BUSYBOX) is not static: apt install busybox-static"; exit 1; }
	mkdir -p rootfs/bin rootfs/dev rootfs/etc rootfs/proc rootfs/root rootfs/run rootfs/sys rootfs/tmp
	chmod 1777 rootfs/tmp
	echo 'root:x:0:0:root:/root:/bin/sh' >rootfs/etc/passwd
	echo 'root:x:0:' >rootfs/etc/group
	cp "$(BUSYBOX)" rootfs/bin/busybox
	for applet in $$(rootfs/bin/busybox --list); do \
		[ $$applet = busybox ] || ln -sf busybox rootfs/bin/$$applet; \
	done
