package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// disk is an ext4 file system on a loop device, whose power can be cut.
type disk struct {
	// root is where it is mounted.
	root string

	image, device string
	mounted       bool
}

// newDisk makes one of a size in dir. The image takes as much room as is written to it.
func newDisk(ctx context.Context, dir string, size int64) (_ *disk, err error) {
	d := &disk{root: filepath.Join(dir, "disk"), image: filepath.Join(dir, "disk.img")}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.remove(ctx))
		}
	}()
	if err := os.Mkdir(d.root, 0o700); err != nil {
		return nil, err
	}
	if err := errors.Join(os.WriteFile(d.image, nil, 0o600), os.Truncate(d.image, size)); err != nil {
		return nil, err
	}
	if d.device, err = utility(ctx, "losetup", "--find", "--show", d.image); err != nil {
		return nil, err
	}
	if _, err := utility(ctx, "mkfs.ext4", "-q", d.device); err != nil {
		return nil, err
	}
	return d, d.mount(ctx)
}

func (d *disk) mount(ctx context.Context) error {
	_, err := utility(ctx, "mount", "-t", "ext4", d.device, d.root)
	d.mounted = err == nil
	return err
}

// utility runs a program of the system.
func utility(ctx context.Context, name string, args ...string) (string, error) {
	said, err := exec.CommandContext(ctx, name, args...).CombinedOutput() //nolint:gosec // the arguments are our own
	text := strings.TrimSpace(string(said))
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, text)
	}
	return text, nil
}

// What the kernel calls a cut of the power. See linux/ext4.h: nothing is flushed, not even the journal.
const (
	shutdown           = 0x8004587d // EXT4_IOC_SHUTDOWN
	withoutFlush int32 = 2          // EXT4_GOING_FLAGS_NOLOGFLUSH
)

// cut cuts the power: what the device does not have by now, it never gets.
func (d *disk) cut() (err error) {
	root, err := os.Open(d.root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	how := withoutFlush
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, root.Fd(), shutdown, uintptr(unsafe.Pointer(&how))); errno != 0 { //nolint:gosec // the kernel reads one word
		return fmt.Errorf("cut the power of %s: %w", d.root, errno)
	}
	return nil
}

// repower mounts a disk again whose power was cut, when nothing has a file open on it any more. Mounting replays its journal.
func (d *disk) repower(ctx context.Context) error {
	if err := d.unmount(ctx); err != nil {
		return err
	}
	return d.mount(ctx)
}

// unmount waits for who is about to close the last file.
func (d *disk) unmount(ctx context.Context) (err error) {
	const times, pause = 50, 100 * time.Millisecond
	for range times {
		if _, err = utility(ctx, "umount", d.root); err == nil {
			d.mounted = false
			return nil
		}
		time.Sleep(pause)
	}
	return err
}

// remove takes all of it away, also after ctx has ended.
func (d *disk) remove(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	if d.mounted {
		errs = append(errs, d.unmount(ctx))
	}
	if d.device != "" {
		_, err := utility(ctx, "losetup", "--detach", d.device)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, os.RemoveAll(d.image))...)
}
