;; Components in components, and names that are no plain words.
(component $app
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
  (core module $"a guest" (func (export "go")))
  (component $outer
    (import "exit" (func $stop (param "status" (result))))
    (alias outer $app $"a guest" (core module $guest))
    (core instance $guest (instantiate $guest))
    (func $go (canon lift (core func $guest "go")))
    (component (import "x" (func $x)) (export "y" (func $x)))
    (instance (export "go" (func $go)))
    (export "things" (instance 0)))
  (alias export $exit "exit" (func $func7))
  (instance $things (instantiate $outer (with "exit" (func $func7))))
  (alias export $things "things" (instance $inner))
  (export "local:app/things@1.0.0" (instance $inner))
  (@custom "note\1b[31m" "for readers"))
