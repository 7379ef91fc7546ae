//! Guarantees that no account is ever overdrawn: the example of PMS §3.
//!
//! There a withdrawal goes through if the balance is *greater* than the amount; here it may also be equal to it.

use crate::machine::{NotRestored, StateMachine};
use crate::sorted::Sorted;
use crate::{decode, encode};
use serde::{Deserialize, Serialize};

/// Accounts by number. One that was never paid into has a balance of 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bank {
    /// Balances other than 0.
    balances: Sorted<u64, u64>,
}

/// The commands of a bank.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BankCommand {
    /// Asks for a balance.
    Balance {
        /// The account.
        account: u64,
    },
    /// Adds to an account.
    Deposit {
        /// The account.
        account: u64,
        /// The amount.
        amount: u64,
    },
    /// Takes from an account, if there is enough.
    Withdraw {
        /// The account.
        account: u64,
        /// The amount.
        amount: u64,
    },
    /// Takes from one account and adds to another, both or neither.
    Transfer {
        /// The account that pays.
        from: u64,
        /// The account that receives.
        to: u64,
        /// The amount.
        amount: u64,
    },
}

/// The outputs of a bank.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BankOutput {
    /// Done: the old and the new balance, of the account that was paid from where there are two.
    Done {
        /// Before.
        old: u64,
        /// After.
        new: u64,
    },
    /// Nothing was done: the amount is not covered.
    NotCovered {
        /// The balance.
        balance: u64,
    },
    /// Nothing was done: the balance would be more than a number holds.
    TooMuch {
        /// The balance of the account that was to receive.
        balance: u64,
    },
}

impl Bank {
    /// An account's balance.
    pub fn balance(&self, account: u64) -> u64 {
        self.balances.get(&account).copied().unwrap_or(0)
    }

    /// The number of accounts whose balance is not 0.
    pub fn accounts(&self) -> usize {
        self.balances.len()
    }

    /// An account of nothing is not kept, so that equal balances are equal banks.
    fn set(&mut self, account: u64, balance: u64) {
        if balance == 0 {
            self.balances.remove(&account);
        } else {
            self.balances.insert(account, balance);
        }
    }
}

impl StateMachine for Bank {
    type Command = BankCommand;
    type Output = BankOutput;

    fn apply(&mut self, command: &BankCommand) -> BankOutput {
        match *command {
            BankCommand::Balance { account } => {
                let balance = self.balance(account);
                BankOutput::Done { old: balance, new: balance }
            }
            BankCommand::Deposit { account, amount } => {
                let old = self.balance(account);
                let Some(new) = old.checked_add(amount) else { return BankOutput::TooMuch { balance: old } };
                self.set(account, new);
                BankOutput::Done { old, new }
            }
            BankCommand::Withdraw { account, amount } => {
                let old = self.balance(account);
                let Some(new) = old.checked_sub(amount) else {
                    return BankOutput::NotCovered { balance: old };
                };
                self.set(account, new);
                BankOutput::Done { old, new }
            }
            BankCommand::Transfer { from, to, amount } => {
                let old = self.balance(from);
                let Some(new) = old.checked_sub(amount) else {
                    return BankOutput::NotCovered { balance: old };
                };
                if from == to {
                    return BankOutput::Done { old, new: old };
                }
                let there = self.balance(to);
                let Some(sum) = there.checked_add(amount) else {
                    return BankOutput::TooMuch { balance: there };
                };
                self.set(from, new);
                self.set(to, sum);
                BankOutput::Done { old, new }
            }
        }
    }

    fn query(&self, command: &BankCommand) -> Option<BankOutput> {
        let BankCommand::Balance { account } = *command else { return None };
        let balance = self.balance(account);
        Some(BankOutput::Done { old: balance, new: balance })
    }

    fn snapshot(&self) -> Vec<u8> {
        encode(&self.balances)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), NotRestored> {
        let balances: Sorted<u64, u64> = decode(snapshot)?;
        if let Some((account, _)) = balances.iter().find(|(_, balance)| **balance == 0) {
            return Err(NotRestored::because(format!("account {account} is kept though it is empty")));
        }
        self.balances = balances;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn withdrawals_are_covered_and_both_balances_told() {
        let mut bank = Bank::default();
        let withdraw = |amount| BankCommand::Withdraw { account: 1, amount };
        assert_eq!(bank.apply(&withdraw(1)), BankOutput::NotCovered { balance: 0 });
        assert_eq!(
            bank.apply(&BankCommand::Deposit { account: 1, amount: 100 }),
            BankOutput::Done { old: 0, new: 100 }
        );
        assert_eq!(bank.apply(&withdraw(30)), BankOutput::Done { old: 100, new: 70 });
        assert_eq!(bank.apply(&withdraw(71)), BankOutput::NotCovered { balance: 70 });
        assert_eq!(bank.apply(&withdraw(70)), BankOutput::Done { old: 70, new: 0 });
        assert_eq!(bank, Bank::default(), "an empty account leaves nothing behind");
    }

    #[test]
    fn money_is_neither_made_nor_lost() {
        let mut bank = Bank::default();
        bank.apply(&BankCommand::Deposit { account: 1, amount: 10 });
        bank.apply(&BankCommand::Deposit { account: 2, amount: u64::MAX });
        let transfer = |from, to, amount| BankCommand::Transfer { from, to, amount };
        assert_eq!(bank.apply(&transfer(1, 2, 1)), BankOutput::TooMuch { balance: u64::MAX });
        assert_eq!(bank.apply(&transfer(1, 1, 4)), BankOutput::Done { old: 10, new: 10 });
        assert_eq!(bank.apply(&transfer(1, 1, 11)), BankOutput::NotCovered { balance: 10 });
        assert_eq!(bank.apply(&transfer(1, 3, 4)), BankOutput::Done { old: 10, new: 6 });
        assert_eq!((bank.balance(1), bank.balance(3)), (6, 4));
        assert_eq!(
            bank.apply(&BankCommand::Deposit { account: 2, amount: 1 }),
            BankOutput::TooMuch { balance: u64::MAX }
        );
    }

    #[test]
    fn a_snapshot_with_an_empty_account_is_refused() {
        let error = Bank::default().restore(&[1, 7, 0]).expect_err("account 7 has nothing");
        assert!(error.to_string().ends_with("account 7 is kept though it is empty"), "{error}");
    }
}
