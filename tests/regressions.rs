//! What `synod trace test` prints, word for word, so that it is known to compile and to pass.

#[test]
fn mutants_any_value_breaks_p2b() {
    let model = synod_model::find("mutants/any-value").expect("the model is right");
    let trace = r####"# synod trace 1
# model: mutants/any-value
deliver C1 -> P1  Request(x)
deliver P1 -> A1  Prepare(1.1)
deliver P1 -> A2  Prepare(1.1)
deliver A1 -> P1  Promise(1.1, null)
deliver A2 -> P1  Promise(1.1, null)
deliver P1 -> A1  Accept(1.1, x)
deliver P1 -> A2  Accept(1.1, x)
deliver C2 -> P2  Request(y)
deliver P2 -> A1  Prepare(1.2)
deliver P2 -> A2  Prepare(1.2)
deliver A1 -> P2  Promise(1.2, 1.1:x)
deliver A2 -> P2  Promise(1.2, 1.1:x)
"####;
    let replay = synod_model::replay(&model, trace).expect("every step is possible");
    assert!(replay.judged.iter().any(|(_, name, status, _)| *name == "P2b" && status.word() == "violated"));
}
