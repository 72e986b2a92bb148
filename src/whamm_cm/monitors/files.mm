// files: which paths the component opens, changes and removes, and what fails.
report var opened: map<str, u32>;
report var failures: u32;

?wasi:filesystem/types#descriptor.open-at:before {
    opened[path]++;
    print("open {}", path);
}
?wasi:filesystem/types#descriptor.{unlink-file-at,remove-directory-at,create-directory-at}:before {
    print("{} {}", func, path);
}
?wasi:filesystem/types#descriptor.rename-at:before { print("rename {} to {}", old_path, new_path); }
wasi:filesystem/types#descriptor.*:after / is_err / {
    failures++;
    print("{} failed", func);
}
