-- SPDX-License-Identifier: Apache-2.0
-- What kernel-install does for a kernel that goes: its files in /boot and its boot loader entry. A default that
-- named it is left dangling, as on a real host: the boot loader takes the newest entry then.
local release = "{uname}"
local entries = "/boot/loader/entries"

os.remove("/boot/vmlinuz-" .. release)
os.remove("/boot/initramfs-" .. release .. ".img")
if posix.stat(entries) then
  for _, name in ipairs(posix.dir(entries)) do
    local suffix = "-" .. release .. ".conf"
    if name:sub(-#suffix) == suffix then os.remove(entries .. "/" .. name) end
  end
end
