//! All small histories of a register: every judge must agree with the definition on each of them.

use crate::naive;
use synod_linear::{
    History, MANY, Register, RegisterOp, RegisterRet, Tester, Verdict, check, check_register, explains,
};

type Op = RegisterOp<u8>;
type Ret = RegisterRet<u8>;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    histories: usize,
    linearizable: usize,
}

/// A history that grows and shrinks.
struct Growing<'a> {
    ops: &'a [Op],
    history: History<Op, Ret>,
    /// What each process has open.
    busy: Vec<Option<usize>>,
    counts: Counts,
}

impl Growing<'_> {
    fn judge(&mut self, tester: &Tester<Register<u8>, u64>) {
        let register = Register::new();
        let wanted = naive::is_linearizable(&register, &self.history);
        match check(&register, &self.history, MANY) {
            Verdict::Linearizable { order: Some(order) } => {
                assert!(wanted && explains(&register, &self.history, &order), "{:?} {order:?}", self.history);
            }
            Verdict::NotLinearizable(explanation) => {
                assert!(!wanted, "{:?}\n{explanation}", self.history);
                let (beginning, _) = self.history.until(explanation.moment);
                assert!(explanation.shortest && !naive::is_linearizable(&register, &beginning));
                let (shorter, _) = self.history.until(explanation.moment - 1);
                assert!(naive::is_linearizable(&register, &shorter), "{:?}\n{explanation}", self.history);
            }
            other => panic!("{other:?}"),
        }
        match check_register(&self.history, MANY) {
            Verdict::NotLinearizable(explanation) => {
                assert!(!wanted, "{:?}\n{explanation}", self.history);
                let (shorter, _) = self.history.until(explanation.moment - 1);
                assert!(explanation.shortest && naive::is_linearizable(&register, &shorter));
                let (beginning, _) = self.history.until(explanation.moment);
                let named = explanation.stuck.iter().map(|id| beginning.operations()[*id].clone());
                // By themselves, they have no order either; a search names what it came up against, which may need more.
                let by_search = explanation.to_string().contains("nothing explains");
                assert!(
                    by_search || !naive::is_linearizable(&register, &History::of(named.collect())),
                    "{:?}\n{explanation}",
                    self.history
                );
            }
            other => assert_eq!(other.is_linearizable(), wanted, "{:?}", self.history),
        }
        assert_eq!(tester.is_linearizable(), wanted, "{:?} {tester:?}", self.history);
        self.counts.histories += 1;
        self.counts.linearizable += usize::from(wanted);
    }

    fn grow(&mut self, tester: &Tester<Register<u8>, u64>, events: usize) {
        self.judge(tester);
        if events == 0 {
            return;
        }
        let before = self.history.clone();
        for process in 0..self.busy.len() {
            match self.busy[process] {
                None => {
                    for op in self.ops {
                        self.busy[process] = Some(self.history.invoke(process as u64, op.clone()));
                        let mut tester = tester.clone();
                        tester.invoke(process as u64, op.clone());
                        self.grow(&tester, events - 1);
                        self.history = before.clone();
                    }
                    self.busy[process] = None;
                    // Processes are alike: who has done nothing yet comes in after the one before.
                    if before.operations().iter().all(|operation| operation.process != process as u64) {
                        break;
                    }
                }
                Some(id) => {
                    let rets = match before.operations()[id].op {
                        Op::Read => vec![Ret::Value(None), Ret::Value(Some(1)), Ret::Value(Some(2))],
                        Op::Write(_) => vec![Ret::Written],
                        Op::Swap(..) => vec![Ret::Swapped(false), Ret::Swapped(true)],
                    };
                    for ret in rets {
                        self.history.returned(id, ret.clone());
                        self.busy[process] = None;
                        let mut tester = tester.clone();
                        tester.returned(&(process as u64), &ret);
                        self.grow(&tester, events - 1);
                        self.history = before.clone();
                    }
                    self.busy[process] = Some(id);
                }
            }
        }
    }
}

fn all(ops: &[Op], processes: usize, events: usize) -> Counts {
    let counts = Counts::default();
    let mut growing = Growing { ops, history: History::new(), busy: vec![None; processes], counts };
    growing.grow(&Tester::new(Register::new()), events);
    growing.counts
}

#[test]
fn every_judge_is_right_about_every_small_history() {
    let (read, one, two) = (Op::Read, Op::Write(1), Op::Write(2));
    let swap = Op::Swap(Some(1), 2);
    // How many there are, and how many of them have an order by the definition: of both kinds enough.
    for (ops, processes, events, counts) in [
        (&[read.clone(), one.clone(), two.clone()][..], 3, 7, (192_855, 84_863)),
        (&[read.clone(), one.clone()], 3, 8, (336_179, 66_655)),
        (&[read, one, swap], 2, 8, (259_651, 42_980)),
    ] {
        let Counts { histories, linearizable } = all(ops, processes, events);
        assert_eq!((histories, linearizable), counts, "{ops:?}");
    }
}
