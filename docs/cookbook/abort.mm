param denied = ".tmp";
wasi:filesystem/types#descriptor.open-at:before / path.ends_with(denied) / {
    abort(format("denied: {}", path));
}
