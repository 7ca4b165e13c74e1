-- SPDX-License-Identifier: Apache-2.0
-- What kernel-install does for a new kernel: image and initramfs into /boot, a boot loader entry, and this kernel
-- becomes the default (UPDATEDEFAULT=yes, as on a stock host).
local release = "{uname}"

local function read(path, fallback)
  local file = io.open(path)
  if not file then return fallback end
  local line = file:read("*l")
  file:close()
  return line or fallback
end

local function write(path, text, mode)
  local file = io.open(path, "w")
  if not file then return end
  file:write(text)
  file:close()
  posix.chmod(path, mode)
end

local machine = read("/etc/machine-id", "0123456789abcdef0123456789abcdef")
local system = (read("/etc/almalinux-release", "AlmaLinux release 9")):gsub(" release ", " ")
local entry = machine .. "-" .. release
local arguments = read("/etc/kernel/cmdline", "ro root=/dev/mapper/almalinux-root rd.lvm.lv=almalinux/root quiet")

for _, folder in ipairs({"/boot", "/boot/loader", "/boot/loader/entries", "/boot/grub2"}) do
  if not posix.stat(folder) then posix.mkdir(folder) end
end
write("/boot/vmlinuz-" .. release, "kernel " .. release .. "\n", "0755")
write("/boot/initramfs-" .. release .. ".img", "initramfs " .. release .. "\n", "0600")
write("/boot/loader/entries/" .. entry .. ".conf",
  "title " .. system:gsub("^AlmaLinux ", "AlmaLinux (" .. release .. ") ") .. "\n"
  .. "version " .. release .. "\n"
  .. "linux /boot/vmlinuz-" .. release .. "\n"
  .. "initrd /boot/initramfs-" .. release .. ".img\n"
  .. "options " .. arguments .. "\n"
  .. "grub_users $grub_users\ngrub_arg --unrestricted\ngrub_class almalinux\n", "0644")

local kept = {}
local environment = io.open("/boot/grub2/grubenv")
if environment then
  for line in environment:lines() do
    if not line:match("^saved_entry=") and not line:match("^#") then kept[#kept + 1] = line .. "\n" end
  end
  environment:close()
end
write("/boot/grub2/grubenv",
  "# GRUB Environment Block\nsaved_entry=" .. entry .. "\n" .. table.concat(kept), "0600")
