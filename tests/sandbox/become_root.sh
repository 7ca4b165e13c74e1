#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# become_root.sh DIRECTORY HOST_NAME: started in mount, pid, ipc and uts namespaces of its own, makes DIRECTORY/root
# the root of everything in them, says "ready PID" (the pid as the machine sees it), and holds them until standard
# input ends. /usr is the machine's with the host's own files over it; what is written there lands in
# DIRECTORY/root/usr. DIRECTORY/boot has what the booted kernel shows in /proc.
set -eu
cd "$1"
host_name=$2
boot=$1/boot

# /proc is the machine's still, so it tells this process's number there.
read -r pid _ < /proc/self/stat

# Relative paths, since the mount options have no room for a comma or a colon. The features that are switched off
# would tie the upper layer to this very /usr; a root is copied from a template, so they cannot be had.
mount -t overlay overlay root/usr \
    -o lowerdir=/usr,upperdir=root/usr,workdir=work,index=off,metacopy=off,redirect_dir=off
mount --rbind root root

mount -t proc -o nosuid,nodev,noexec proc root/proc
mount --bind /sys root/sys
mount -o remount,bind,ro root/sys
mount --bind /dev root/dev
# Whatever disks the machine has, encrypted ones too, none of them is the host's.
[ ! -d root/sys/class/block ] || mount -t tmpfs -o ro tmpfs root/sys/class/block
# Read-only, or `rm -rf /dev/…` in the host would be the machine's loss; devices can be written to all the same.
mount -o remount,bind,ro root/dev
mount -t tmpfs -o mode=1777 tmpfs root/dev/shm
mount --bind /dev/pts root/dev/pts

show_boot() {
    mount --bind "$boot/cmdline" root/proc/cmdline
    mount --bind "$boot/osrelease" root/proc/sys/kernel/osrelease
    # A kernel without CONFIG_CRYPTO_FIPS has no such file, and nothing can be made in procfs: stand in for its parent.
    [ -e root/proc/sys/crypto/fips_enabled ] || add_crypto
    mount --bind "$boot/fips_enabled" root/proc/sys/crypto/fips_enabled
}

add_crypto() {
    mkdir -p "$boot/sys"
    mount --rbind root/proc/sys "$boot/sys"
    mount -t tmpfs -o mode=755 tmpfs root/proc/sys
    for entry in "$boot/sys"/*; do
        mkdir "root/proc/sys/${entry##*/}"
        mount --rbind "$entry" "root/proc/sys/${entry##*/}"
    done
    mkdir -p root/proc/sys/crypto
    : > root/proc/sys/crypto/fips_enabled
    mount -o remount,ro root/proc/sys
}

show_boot
echo "$host_name" > /proc/sys/kernel/hostname

cd root
pivot_root . .
umount -l .
cd /
echo "ready $pid"
# SIGCHLD ignored is inherited by cat: so the kernel buries the orphans of this pid namespace itself.
exec env -i PATH=/usr/bin:/usr/sbin env --ignore-signal=CHLD cat > /dev/null
