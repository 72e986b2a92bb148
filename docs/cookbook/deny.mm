param denied = ".tmp";
wasi:filesystem/types#descriptor.open-at:alt / path.ends_with(denied) / {
    print("denied: {}", path);
    fail("access");
}
