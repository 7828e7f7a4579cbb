// What the C library's headers show to GNU sources only, which Swift's view of them is not.
#pragma once

int memfd_create(const char *name, unsigned int flags);

enum {
    CL_MEMFD_CLOEXEC = 1,
    CL_MEMFD_ALLOW_SEALING = 2,
    CL_ADD_SEALS = 1033,
    /// Against further seals, shrinking, growing and writing.
    CL_SEAL_ALL = 1 | 2 | 4 | 8,
};
